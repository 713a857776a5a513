"""Pictures: spectrograms side by side, panels, digits."""
