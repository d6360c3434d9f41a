"""Edges: bring the small matte to the photo's size, and recover the people's own colors.

Called by stages.composite.models.
Calls shared.
"""
