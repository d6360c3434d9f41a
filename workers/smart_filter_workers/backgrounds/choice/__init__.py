"""Choose the background that suits the people in a photo.

Called by stages.
Calls shared, wire.
"""
