"""The models of the segmentation stage: one file each, with its `CARD` and `load`.

Called by training, stages.segmentation.mattes, stages.segmentation.people, models, live.
Calls shared, stages.segmentation.mattes, networks.coverage, stages.segmentation.people,
networks, networks.runtimes, networks.detectron2, networks.faces.
"""
