"""Portraits: train a small network for phones that says which pixels of a picture are people.

pairs         photos and mattes as folders hold them, and their split
augmentation  random framing, light and backgrounds
batches       pairs in memory, and batches of them
teaching      mattes made by a strong model of the catalog
network       the networks and their loss
train         what `smart-filter train` calls
"""
