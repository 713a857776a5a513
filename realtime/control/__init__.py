"""Control: the controller, which every control surface writes to, and the protocols that reach it."""
