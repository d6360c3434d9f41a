"""Compose the best take of a group: one picture with the best face of each person."""
