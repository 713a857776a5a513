"""Benchmarks: what the project promises in figures, measured side by side."""
