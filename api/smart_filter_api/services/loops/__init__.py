"""Loops that a process runs between requests."""
