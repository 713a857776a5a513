"""Networks: WaveNet, VAE, VLAE, the voice, the tagger, the phone classifier, and the parts that they share."""
