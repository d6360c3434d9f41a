"""The card of a model that can be trained: facts that need none of its code."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from smart_filter_shared.pipeline import TaskName

# What models in Keras are trained with.
KERAS: Final = ("keras", "tensorflow", "tensorboard", "tf2onnx")


@dataclass(frozen=True, slots=True)
class TrainingCard:
    """What a training makes, and for which model.

    task, model: of the product's model that runs the weights.  file: their name in the weights
    folder.  packages: needed to train; importing the code needs none of them.
    fine_tuning: the settings that differ in a run on corrections; None when it learns from none.
    """

    task: TaskName
    model: str
    file: str
    packages: tuple[str, ...]
    fine_tuning: Mapping[str, str] | None = None
