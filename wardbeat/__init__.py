"""The front door: the command line, the parts it starts by itself, the demo."""
