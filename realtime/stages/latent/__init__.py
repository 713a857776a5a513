"""Latent models live: encode what comes in, turn its latents, decode; which model it is, a `Codec` hides."""
