"""Eyes: whether one is open, by a small grey patch of it."""

from typing import Final

from smart_filter_shared.cards import TaskName

TASK: Final = TaskName.EYES
MODEL: Final = "lids"
FILE: Final = "eyes.onnx"
PACKAGES: Final = ("keras", "tensorflow", "tensorboard", "tf2onnx")
