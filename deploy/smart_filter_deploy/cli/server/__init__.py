"""Finds or starts the server of a command, and sends requests to it."""
