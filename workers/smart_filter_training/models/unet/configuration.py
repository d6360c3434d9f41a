"""What a run can be told."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

# The settings of a run on corrections: few.
FINE_TUNING: Final[Mapping[str, str]] = {
    "start": "own",
    "epochs": "4",
    "learning_rate": "5e-5",
    "validation_share": "0.2",
}


@dataclass(frozen=True, slots=True)
class Configuration:
    """Plain values, each of them `--set name=value`, all of them in the run's record.

    network: "grown" (the selfie network with more of what is coarse), "carried" (it alone),
        or from scratch "classic", "residual" or "mobile".
    begin: the weights that "grown" and "carried" begin with, a LiteRT file of the weights
        folder; weights: that folder, "" for the usual one.
    start: a file of Keras weights to go on from, `own` for those in the repository, or "".
    size_px: the side of the input; width: channels of the finest resolution, from scratch.
    cut_out_share: how many examples are set before another photo's background, 0..1.
    teacher: a model of the catalogue that labels the photos of the folder `unlabelled`;
        the pairs go to the folder `taught`, and are trained on beside the labelled ones.
        Without a teacher, `taught` is read as it is.
    join: folders of finished runs, with commas between: figures also tell what the mean of
        their mattes and the new network's reaches.
    """

    seed: int = 0
    epochs: int = 13
    batch_size: int = 8
    learning_rate: float = 4e-4
    weight_decay: float = 1e-4
    network: str = "grown"
    begin: str = "selfie_general.tflite"
    start: str = ""
    size_px: int = 256
    width: int = 16
    validation_share: float = 0.125
    cut_out_share: float = 0.35
    teacher: str = ""
    unlabelled: str = ""
    weights: str = ""
    taught: str = ""
    join: str = ""
