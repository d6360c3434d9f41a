"""Find, load and cache models, and admit weights of operators.

Called by training, deploy, learning, runtime, live, smart_filter.
Calls shared, weights, networks.runtimes, networks.detectron2, stages.segmentation.models,
system.
"""
