"""Prepare stage: shrink the photo for models and propose faces.

Called by artifacts, training.
Calls images, networks, shared.
"""
