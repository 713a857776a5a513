"""Judges of restyled sound: independent networks and classic measures, none of which the style stage uses itself."""
