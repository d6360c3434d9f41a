"""Portraits: which pixels of a picture are people, by one small network for phones."""

from typing import Final

from smart_filter_shared.cards import TaskName

TASK: Final = TaskName.SEGMENTATION
MODEL: Final = "portrait"
FILE: Final = "portrait.tflite"
PACKAGES: Final = ("keras", "tensorflow", "tensorboard", "tf2onnx")
