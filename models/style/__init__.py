"""Style as statistics: moments of frames, the transport map between them, and distances between styles."""
