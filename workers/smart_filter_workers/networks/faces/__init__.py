"""Networks that find faces, or look at one.

Called by stages.smile.models, training, stages.face.models, learning, stages.prepare.models,
stages.segmentation.models, live, stages.smile.
Calls shared, networks.runtimes.
"""
