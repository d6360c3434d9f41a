"""A network of our own training, or anybody's, saved by Keras 3 and run by TensorFlow."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from smart_filter_shared import parameters as read
from smart_filter_shared.cards import ENTRY, ModelCard, TaskName
from smart_filter_shared.parameters import Parameters
from smart_filter_workers import admitted
from smart_filter_workers.admitted import Admitted
from smart_filter_workers.networks import keras_network, placing
from smart_filter_workers.networks.handling import Handling, Task
from smart_filter_workers.networks.keras_network import KerasNetwork
from smart_filter_workers.networks.shelf import Shelf
from smart_filter_workers.results import Prepared
from smart_filter_workers.stages.segmentation.edges import refine
from smart_filter_workers.stages.segmentation.models.base import People

KIND: Final = "unet"
DEFAULT: Final = "unet"
CARD: Final = ModelCard(
    name="unet",
    version="1",
    task=TaskName.SEGMENTATION,
    family="unet",
    title="A network saved by Keras 3, by the digest of its .keras file",
    source="files that the operator admits, docs/models.md",
    licence="NOASSERTION",
    data_terms="each file's own",
    devices=("cpu", "cuda"),
    parameters=(read.choice(ENTRY, DEFAULT, "Which network", choices=()),),
    requires=("tensorflow", "keras"),
    extra="tensorflow",
)


def entries(weights: Path) -> tuple[str, ...]:
    """Return the names of the networks whose files are there."""
    return tuple(sorted(admitted.entries(weights, KIND)))


def load(weights: Path) -> "Unet":
    """Load the default network, or the first that opens; others when they are asked for.

    Raises ModelNotLoaded when there is none, or none can be opened.
    """
    shelf = Shelf(weights, KIND, opened)
    shelf.warm(DEFAULT)
    return Unet(shelf)


@dataclass(frozen=True, slots=True)
class Opened:
    """A network, and how it is used."""

    network: KerasNetwork
    handling: Handling


@dataclass(frozen=True, slots=True)
class Unet:
    """The model; it needs to be told its parameters."""

    shelf: Shelf[Opened]

    def __call__(self, batch: Sequence[Prepared], *, parameters: Parameters) -> list[People]:
        """Return the people of each picture; such networks do not tell persons apart.

        Raises ModelNotLoaded when this machine cannot run the entry.
        """
        if not batch:
            return []
        network = self.shelf.network(read.str_of(parameters, ENTRY))
        return [_people(network, one) for one in batch]


def opened(content: bytes, file: Admitted) -> Opened:
    """Open an admitted file.

    content: the file's bytes, whose digest was checked.
    Raises SetupFailed when it does not load, or how it is used cannot be read.
    """
    network = KerasNetwork(content)
    return Opened(network, keras_network.sized(network, file))


def _people(one: Opened, prepared: Prepared) -> People:
    srgb, used = prepared.proxy_srgb, one.handling
    placed = placing.place(srgb, used)
    seen = placing.coverage(one.network(placed.values), used)
    matte_01 = placing.to_picture(seen, placed, used, srgb)
    if used.task == Task.SEGMENTATION:
        return People(refine(matte_01, srgb), persons=None)
    return People(np.rint(np.clip(matte_01, 0, 1) * 255).astype(np.uint8), persons=None)
