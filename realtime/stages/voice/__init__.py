"""The voice stage: anybody's voice, by content that says the phone and a map to the speaker's envelopes."""
