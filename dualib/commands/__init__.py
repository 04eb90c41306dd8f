"""The command line, one file a command; each is loaded when it is asked for."""
