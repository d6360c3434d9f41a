"""Backgrounds: choose one for a photo, and draw it."""
