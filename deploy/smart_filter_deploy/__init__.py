"""The composition root: the command line, the wiring, and the embedded servers."""
