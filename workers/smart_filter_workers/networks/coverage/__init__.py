"""Networks that give the coverage of people, or of things that stand out.

Called by stages.segmentation.models, stages.segmentation.mattes, training, live.
Calls networks.runtimes, shared, weights.
"""
