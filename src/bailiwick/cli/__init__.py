"""The command line: thin doors, one file per command or family of commands."""
