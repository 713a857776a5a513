"""Streaming layers: convolutions, spectra, mel bands, and what they are composed of."""
