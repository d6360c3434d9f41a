"""What can be set for a run of the expression network."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Configuration:
    """The settings of a run; the defaults made the weights in the repository.

    architecture: `compact` or `efficientnet-b0`.  start: a file of Keras weights to begin with,
    `own` for those in the repository, or "" to begin anew.  half_precision: whether products
    are taken in bfloat16.
    """

    seed: int = 0
    architecture: str = "compact"
    start: str = ""
    epochs: int = 28
    batch_size: int = 128
    learning_rate: float = 3e-3
    weight_decay: float = 0.02
    dropout: float = 0.3
    half_precision: bool = True
    held_out_share: float = 0.1
