"""Segmentation stage: find the pixels that show people.

Called by live, runtime, training.
Calls images, networks, shared, weights, wire.
"""
