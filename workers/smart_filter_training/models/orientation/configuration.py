"""What can be set for a run of the orientation network."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Configuration:
    """The settings of a run; the defaults made the weights in the repository.

    crops: how many crops without a face are cut from each photo.  start: a file of Keras weights
    to begin with, or "" to begin anew.  half_precision: whether products are taken in bfloat16.
    """

    seed: int = 0
    start: str = ""
    crops: int = 3
    epochs: int = 8
    batch_size: int = 32
    learning_rate: float = 3e-3
    weight_decay: float = 0.05
    dropout: float = 0.4
    half_precision: bool = True
    held_out_share: float = 0.15
