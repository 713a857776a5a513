"""Data sets: recordings are found, checked, decoded once, and given to every trainer in one form."""
