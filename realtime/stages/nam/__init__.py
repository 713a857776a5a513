"""Captures of amplifiers and pedals in the format of Neural Amp Modeler."""
