"""Segmentation stage: find the pixels that show people.

Called by training, live, runtime, runtime.claiming.
Calls shared, networks.runtimes, weights, images, wire.
"""
