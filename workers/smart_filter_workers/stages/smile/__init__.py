"""Smile: rate each face and read its eyes.

Called by live.
Calls networks, shared.
"""
