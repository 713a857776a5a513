"""Sound in, sound out, effects, and every hand on the controls.

The law of this room: the callback never waits and never raises; every control writes one parameter table.
"""
