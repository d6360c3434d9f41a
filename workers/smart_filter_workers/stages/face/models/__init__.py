"""The models of the face stage: one file each, with its `CARD` and `load`.

Called by live, training.
Calls shared, networks.faces, networks, networks.runtimes, networks.detectron2, weights.
"""
