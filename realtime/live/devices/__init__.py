"""Audio devices: JACK, PortAudio and sound over OSC behind one interface."""
