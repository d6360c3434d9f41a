"""Persons, one by one and with their outlines, by detectron2's Mask R-CNN.

Weights that come of it are admitted by whoever made them: docs/training-detectors.md.
"""

from typing import Final

from smart_filter_shared.cards import TaskName

TASK: Final = TaskName.SEGMENTATION
# The card of the model that runs the weights.
MODEL: Final = "detectron2"
FILE: Final = "detectron2.npz"
FRAMEWORK: Final = "torch"
PACKAGES: Final = ("torch", "detectron2", "pycocotools", "tensorboard")
# What the network calls what it finds, and annotations too unless `label` says otherwise.
LABEL: Final = "person"
