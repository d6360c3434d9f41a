"""Expression: how much a face smiles, and what it says, as ten raters would vote."""

from typing import Final

from smart_filter_shared.cards import TaskName

TASK: Final = TaskName.SMILE
MODEL: Final = "expression"
FILE: Final = "expression.onnx"
PACKAGES: Final = ("keras", "tensorflow", "tensorboard", "tf2onnx")
