"""Other people's plug-ins (VST3, Audio Units) as stages, each in a process of its own.

`scan` finds them, `probe` asks what they have, `host` plays them, `stage` puts them into a chain. What runs in the
child process (`child`, `reading`, `lanes`) is the only part that loads plug-ins, so that none can take the sound down.
"""
