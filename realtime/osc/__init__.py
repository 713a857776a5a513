"""OSC on the wire: packets, patterns and sockets, without any knowledge of what is controlled."""
