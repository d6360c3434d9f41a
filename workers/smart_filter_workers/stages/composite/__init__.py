"""Composite stage: put the people on another background, at full resolution.

Called by live, learning.
Calls shared, wire, backgrounds, backgrounds.choice, images, networks.
"""
