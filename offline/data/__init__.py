"""Data sets: recordings found, checked aloud, decoded once, and handed to every trainer in one form."""
