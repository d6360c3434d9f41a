"""Any segmentation or matting network in ONNX, run as its manifest entry says."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from smart_filter_shared.catalog import parameters as read
from smart_filter_shared.catalog.model_card import ENTRY_PARAMETER, Commercial, ModelCard
from smart_filter_shared.catalog.parameters import Parameters
from smart_filter_shared.pipeline import TaskName
from smart_filter_workers.networks import network_input, onnx_session
from smart_filter_workers.networks.handling import TrainedTask
from smart_filter_workers.networks.network_cache import NetworkCache
from smart_filter_workers.networks.onnx_session import ConfiguredNetwork
from smart_filter_workers.results import PreparedPhoto
from smart_filter_workers.stages.segmentation.edges import refine_edges
from smart_filter_workers.stages.segmentation.models.base import People
from smart_filter_workers.weights import allowlist

KIND: Final = "onnx"
DEFAULT: Final = "u2netp"
CARD: Final = ModelCard(
    name="onnx",
    version="1",
    task=TaskName.SEGMENTATION,
    family="onnx",
    title="Any segmentation or matting network in ONNX, such as U²-Net, IS-Net, MODNet, BiRefNet",
    source="the manifest's entries, docs/models.md",
    # Licenses of the ready entries; the offered ones depend on the entries that are present.
    license="Apache-2.0 AND MIT",
    data_terms="each entry's own: docs/models.md",
    commercial=Commercial.ASK,
    devices=("cpu", "cuda", "tensorrt"),
    parameters=(read.choice(ENTRY_PARAMETER, DEFAULT, "Network to use", choices=()),),
)


def entries(weights: Path) -> tuple[str, ...]:
    """Return the names of the networks whose files are in the weights folder."""
    return tuple(sorted(allowlist.entries(weights, KIND)))


def load(weights: Path) -> "Onnx":
    """Load the default network, or the first that opens; others load on first use.

    Raises ModelNotLoaded when there is none, or none can be opened.
    """
    networks = NetworkCache(weights, KIND, onnx_session.open_network)
    networks.warm(DEFAULT)
    return Onnx(networks)


@dataclass(frozen=True, slots=True)
class Onnx:
    """Segments with the network that the recipe names."""

    networks: NetworkCache[ConfiguredNetwork]

    def __call__(self, batch: Sequence[PreparedPhoto], *, parameters: Parameters) -> list[People]:
        """Return the people of each picture; such networks do not separate persons.

        One picture at a time: a batch of four needs 12 GB with the largest of them.
        Raises ModelNotLoaded when this machine cannot run the entry.
        """
        if not batch:
            return []
        opened = self.networks.network(read.str_of(parameters, ENTRY_PARAMETER))
        return [_people(opened, one) for one in batch]


def _people(opened: ConfiguredNetwork, prepared: PreparedPhoto) -> People:
    srgb, used = prepared.proxy_srgb, opened.handling
    placed = network_input.prepare(srgb, used)
    answers = opened.network(placed.values)
    if used.output >= len(answers):
        raise ValueError(f"the network has {len(answers)} outputs, none with number {used.output}")
    seen = network_input.read_coverage(answers[used.output], used)
    matte_01 = network_input.map_to_picture(seen, placed, used, srgb)
    if used.task == TrainedTask.SEGMENTATION:
        return People(refine_edges(matte_01, srgb), persons=None)
    return People(np.rint(np.clip(matte_01, 0, 1) * 255).astype(np.uint8), persons=None)
