"""MIDI without ports: the decoder of messages, mappings of controls to parameters, and the tempo of a clock."""
