"""What can be set of a DeepLab's training."""

from dataclasses import dataclass
from typing import Final

from smart_filter_shared.errors import SetupFailed
from smart_filter_training.annotations.splits import Where
from smart_filter_training.models.deeplab import LABEL

# The encoder halves a picture so often; its input must be whole there.
SIDE_MULTIPLE_PX: Final = 16


@dataclass(frozen=True, slots=True)
class Configuration:
    """What a training can be told.

    epochs: 0 for as many as `iterations` makes; iterations: 0 for as many as `epochs` makes.
    learning_rate: at first; it falls as (1 − done/all)^power.
    width: channels of the encoder's first stage, each further one has twice as many.
    blocks: residual blocks of each of the four stages.
    channels: of the pyramid and of the decoder.
    crop: side of the square that is learnt from and of the exported network's input, pixels.
    smallest, largest: how much pictures are scaled before they are cropped.
    clip: the longest gradient of all parameters together, 0 for any.
    label, annotations, validation, validation_share, most_faults: as `annotations.splits.Where`
        has them; label "" for persons.
    checkpoint_every: iterations after which a killed run goes on at most so far back.
    """

    seed: int = 0
    epochs: int = 30
    iterations: int = 0
    batch_size: int = 8
    learning_rate: float = 0.01
    power: float = 0.9
    momentum: float = 0.9
    weight_decay: float = 1e-4
    clip: float = 5.0
    width: int = 32
    blocks: int = 2
    channels: int = 128
    crop: int = 320
    smallest: float = 0.5
    largest: float = 2.0
    label: str = ""
    annotations: str = ""
    validation: str = ""
    validation_share: float = 0.2
    most_faults: int = 0
    checkpoint_every: int = 500

    def __post_init__(self) -> None:
        """Refuse what no training comes of.  Raises SetupFailed naming it."""
        least = {
            "seed": 0,
            "epochs": 0,
            "iterations": 0,
            "batch_size": 1,
            "clip": 0,
            "width": 4,
            "blocks": 1,
            "channels": 8,
            "checkpoint_every": 1,
            "most_faults": 0,
        }
        for name, value in least.items():
            if getattr(self, name) < value:
                raise SetupFailed(f"{name} is {getattr(self, name)}: set at least {value}")
        if not self.epochs and not self.iterations:
            raise SetupFailed("epochs and iterations are both 0: set one of them")
        if self.crop % SIDE_MULTIPLE_PX or self.crop < 2 * SIDE_MULTIPLE_PX:
            raise SetupFailed(
                f"crop is {self.crop}: set a multiple of {SIDE_MULTIPLE_PX}, from"
                f" {2 * SIDE_MULTIPLE_PX}"
            )
        if not 0 < self.smallest <= self.largest:
            raise SetupFailed(f"smallest is {self.smallest}: set more than 0, at most `largest`")
        if not 0 < self.learning_rate <= 1:
            raise SetupFailed(f"learning_rate is {self.learning_rate}: set more than 0, at most 1")

    @property
    def where(self) -> Where:
        """Which annotations are meant."""
        return Where(
            labels=((self.label or LABEL).casefold(),),
            annotations=self.annotations,
            validation=self.validation,
            validation_share=self.validation_share,
            most_faults=self.most_faults,
        )

    def steps(self, pictures: int) -> int:
        """Return how many batches a run sees."""
        return self.iterations or self.epochs * max(1, pictures // self.batch_size)
