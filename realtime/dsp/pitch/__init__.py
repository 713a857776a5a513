"""Pitch, live: what a voice or an instrument sings, hop by hop, a stated time after it was sung."""
