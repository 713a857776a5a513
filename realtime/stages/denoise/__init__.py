"""The denoise stage: less noise around a voice."""
