"""Backgrounds: choose one for a photo, and draw it.

Called by live, stages, stock, training.
Calls images, shared.
"""
