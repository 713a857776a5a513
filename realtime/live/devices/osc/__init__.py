"""Sound over OSC: blocks as blobs, a jitter buffer, and concealment of what was lost."""
