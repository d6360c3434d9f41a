"""What can be set for a run of the expression network."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

# The settings of a run on corrections: few, and of smiles alone.
FINE_TUNING: Final[Mapping[str, str]] = {
    "start": "own",
    "known": "smile",
    "epochs": "8",
    "batch_size": "32",
    "learning_rate": "2e-4",
    "held_out_share": "0.2",
}


@dataclass(frozen=True, slots=True)
class Configuration:
    """The settings of a run; the defaults made the weights in the repository.

    architecture: `compact` or `efficientnet-b0`.  start: a file of Keras weights to begin with,
    `own` for those in the repository, or "" to begin anew.  known: `votes`, or `smile` where
    only that is known of each face: what the network said of the rest before it is to say still.
    half_precision: whether products are taken in bfloat16.
    """

    seed: int = 0
    architecture: str = "compact"
    start: str = ""
    known: str = "votes"
    epochs: int = 28
    batch_size: int = 128
    learning_rate: float = 3e-3
    weight_decay: float = 0.02
    dropout: float = 0.3
    half_precision: bool = True
    held_out_share: float = 0.1
