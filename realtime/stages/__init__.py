"""The stages of a chain, a folder for each kind, and what they share."""
