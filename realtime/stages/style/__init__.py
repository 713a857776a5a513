"""The style stage: moves the spectral statistics of the input to those of a reference clip."""
