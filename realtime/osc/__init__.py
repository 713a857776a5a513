"""The wire level of OSC: packets, address patterns and sockets, without any knowledge of what is controlled."""
