"""Plug-ins (VST3, Audio Units) as stages, each in a process of its own.

`scan` finds them, `describe` reads their parameters, `host` plays them, `stage` puts them into a chain. Only the child
process (`child_main`, `parameters`, `channel_instances`) loads plug-ins, so a crash cannot stop the audio.
"""
