"""What the live engine needs of the operating system: priority, shared memory, child processes, wake-ups."""
