"""Backgrounds: which one goes with a photo, and how each is drawn."""
