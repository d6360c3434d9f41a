"""Prepare stage: shrink the photo for models and propose faces."""
