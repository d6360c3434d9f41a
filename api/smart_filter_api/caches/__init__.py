"""Answers, recipes and reads that a process remembers."""
