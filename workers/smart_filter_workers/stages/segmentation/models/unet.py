"""A network saved by Keras 3 and run by TensorFlow, from training here or elsewhere."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from smart_filter_shared.catalog import parameters as read
from smart_filter_shared.catalog.model_card import ENTRY_PARAMETER, Commercial, ModelCard
from smart_filter_shared.catalog.parameters import Parameters
from smart_filter_shared.pipeline import TaskName
from smart_filter_workers.networks.runtimes import keras_network, network_input
from smart_filter_workers.networks.runtimes.handling import Handling, TrainedTask
from smart_filter_workers.networks.runtimes.keras_network import KerasNetwork
from smart_filter_workers.networks.runtimes.network_cache import NetworkCache
from smart_filter_workers.results import PreparedPhoto
from smart_filter_workers.stages.segmentation.mattes.edges import refine_edges
from smart_filter_workers.stages.segmentation.models.base import People
from smart_filter_workers.weights import allowlist
from smart_filter_workers.weights.allowlist import AdmittedFile

KIND: Final = "unet"
DEFAULT: Final = "unet"
CARD: Final = ModelCard(
    name="unet",
    version="1",
    task=TaskName.SEGMENTATION,
    family="unet",
    title="A network saved by Keras 3, by the digest of its .keras file",
    source="files that the operator admits, docs/models.md",
    license="NOASSERTION",
    data_terms="each file's own",
    commercial=Commercial.ASK,
    devices=("cpu", "cuda"),
    parameters=(read.choice(ENTRY_PARAMETER, DEFAULT, "Network to use", choices=()),),
    requires=("tensorflow", "keras"),
    extra="tensorflow",
)


def entries(weights: Path) -> tuple[str, ...]:
    """Return the names of the networks whose files are in the weights folder."""
    return tuple(sorted(allowlist.entries(weights, KIND)))


def load(weights: Path) -> "Unet":
    """Load the default network, or the first that opens; others load on first use.

    Raises ModelNotLoaded when there is none, or none can be opened.
    """
    networks = NetworkCache(weights, KIND, open_network)
    networks.warm(DEFAULT)
    return Unet(networks)


@dataclass(frozen=True, slots=True)
class OpenedNetwork:
    """A network with its handling."""

    network: KerasNetwork
    handling: Handling


@dataclass(frozen=True, slots=True)
class Unet:
    """Segments with the network that the recipe names."""

    networks: NetworkCache[OpenedNetwork]

    def __call__(self, batch: Sequence[PreparedPhoto], *, parameters: Parameters) -> list[People]:
        """Return the people of each picture; such networks do not separate persons.

        Raises ModelNotLoaded when this machine cannot run the entry.
        """
        if not batch:
            return []
        network = self.networks.network(read.str_of(parameters, ENTRY_PARAMETER))
        return [_people(network, photo) for photo in batch]


def open_network(content: bytes, file: AdmittedFile) -> OpenedNetwork:
    """Open an admitted file.

    content: the file's bytes, whose digest was checked.
    Raises SetupFailed when the file does not load or its handling cannot be read.
    """
    network = KerasNetwork(content)
    return OpenedNetwork(network, keras_network.resolve_handling(network, file))


def _people(opened: OpenedNetwork, prepared: PreparedPhoto) -> People:
    srgb, used = prepared.proxy_srgb, opened.handling
    placed = network_input.prepare(srgb, used)
    seen = network_input.read_coverage(opened.network(placed.values), used)
    matte_01 = network_input.map_to_picture(seen, placed, used, srgb)
    if used.task == TrainedTask.SEGMENTATION:
        return People(refine_edges(matte_01, srgb), persons=None)
    return People(np.rint(np.clip(matte_01, 0, 1) * 255).astype(np.uint8), persons=None)
