"""Prepare stage: shrink the photo for models and propose faces.

Called by training, artifacts.
Calls images, networks, shared.
"""
