"""Download, verify and open weights.

Called by models, deploy, networks.detectron2, networks.runtimes, training, networks.coverage,
stages.segmentation, learning.
Calls shared.
"""
