"""The commands, one module for each, loaded when called."""
