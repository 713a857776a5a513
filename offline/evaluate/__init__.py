"""Evaluations: one file a thing that is evaluated, by judges that took no part in making it."""
