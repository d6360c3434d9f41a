"""What can be set for a run of the eye network."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Configuration:
    """The settings of a run; the defaults made the weights in the repository.

    only: learn from one source alone, what stands before the first _ in the names of its files,
    such as cew; "" for all.  start: a file of Keras weights to begin with, or "" to begin anew.
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
