"""MIDI as data: what messages mean, mappings of controls to parameters, and the tempo of a clock; no ports."""
