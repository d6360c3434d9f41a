"""Face: find the faces.

Called by live, training.
Calls networks, shared, wire.
"""
