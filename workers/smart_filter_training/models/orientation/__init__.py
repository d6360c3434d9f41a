"""Orientation: which way up a photo without a face stands, learnt from upright photos alone."""

from typing import Final

from smart_filter_shared.cards import TaskName

TASK: Final = TaskName.ORIENTATION
MODEL: Final = "scenes"
FILE: Final = "orientation.onnx"
PACKAGES: Final = ("keras", "tensorflow", "tensorboard", "tf2onnx")
