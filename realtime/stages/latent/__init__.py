"""Live latent models: encode the input, transform its latents, decode. A `Codec` wraps each kind of model."""
