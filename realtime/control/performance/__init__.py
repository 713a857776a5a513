"""A performance: its actions, the user's own clips, takes, and the devices that it plays on."""
