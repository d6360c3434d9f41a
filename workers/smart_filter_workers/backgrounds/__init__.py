"""Backgrounds: choose one for a photo, and draw it.

Called by stages.composite, stock, live, stages.composite.look, training.
Calls shared, images.
"""
