"""The commands: one file per verb, which reads the options, calls a room and prints."""
