"""Faces by a detectron2 detector: Faster R-CNN, or RetinaNet.

Weights that come of it are admitted by whoever made them: docs/training-detectors.md.
"""

from typing import Final

from smart_filter_shared.cards import TaskName

TASK: Final = TaskName.FACE
# The card of the model that runs the weights.
MODEL: Final = "detectron2-faces"
FILE: Final = "detectron2-faces.npz"
FRAMEWORK: Final = "torch"
PACKAGES: Final = ("torch", "detectron2", "tensorboard")
# What the network calls what it finds, and annotations too unless `label` says otherwise.
LABEL: Final = "face"
