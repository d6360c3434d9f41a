"""Face: find the faces.

Called by live, training.
Calls shared, networks.
"""
