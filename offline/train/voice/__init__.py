"""Training a voice: a plan, the networks used only in training, the losses, the batches, and the run."""
