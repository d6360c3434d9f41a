"""Composite stage: put the people on another background, at full resolution.

Called by learning, live.
Calls backgrounds, images, networks, shared, wire.
"""
