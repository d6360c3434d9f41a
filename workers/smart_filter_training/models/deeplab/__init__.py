"""DeepLabV3+ for persons: retrained on COCO, run by the product's `onnx` model.

What comes of it is admitted by whoever trained it: docs/training-detectors.md.
"""

from typing import Final

from smart_filter_shared.cards import TaskName

TASK: Final = TaskName.SEGMENTATION
# The card of the model that runs the weights.
MODEL: Final = "onnx"
FILE: Final = "deeplabv3plus.onnx"
FRAMEWORK: Final = "torch"
PACKAGES: Final = ("torch", "onnx", "pycocotools", "tensorboard")
# What is cut out unless `label` says otherwise.
LABEL: Final = "person"
