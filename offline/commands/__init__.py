"""Commands of one file each: generate, tag, doctor, listings, demo, models."""
