"""Networks shared by several stages; this package does not depend on the stages.

Called by stages.segmentation.people, training, stages.segmentation.models, stages.face,
stages.face.models, stages.prepare.models, stages.segmentation.mattes, learning.
Calls shared, weights.
"""
