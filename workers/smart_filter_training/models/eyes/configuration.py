"""What can be set for a run of the eye network."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

# The settings of a run on corrections: few.
FINE_TUNING: Final[Mapping[str, str]] = {
    "start": "own",
    "epochs": "8",
    "batch_size": "32",
    "learning_rate": "2e-4",
    "held_out_share": "0.2",
}


@dataclass(frozen=True, slots=True)
class Configuration:
    """The settings of a run; the defaults made the weights in the repository.

    only: learn from one source alone, what stands before the first _ in the names of its files,
    such as cew; "" for all.  start: a file of Keras weights to begin with, `own` for those in the
    repository, or "" to begin anew.
    half_precision: whether products are taken in bfloat16.
    """

    seed: int = 0
    only: str = ""
    start: str = ""
    epochs: int = 36
    batch_size: int = 64
    learning_rate: float = 3e-3
    weight_decay: float = 0.02
    dropout: float = 0.3
    half_precision: bool = True
    held_out_share: float = 0.12
