"""The command line: every command with its options; what a command does is imported when it is called."""
