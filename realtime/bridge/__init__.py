"""The bridge into DAWs: the plug-in's protocol, and the engine process behind each instance of the plug-in.

`native/` holds the plug-in in C++; docs/bridge.md describes the protocol for other clients.
"""
