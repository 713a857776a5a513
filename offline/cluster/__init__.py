"""Calls spread over the machines of a Ray cluster, beside the same calls one after another."""
