"""Segment with admitted networks of any runtime, each run as its manifest entry says."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from smart_filter_shared.catalog import parameters as read
from smart_filter_shared.catalog.model_card import ENTRY_PARAMETER
from smart_filter_shared.catalog.parameters import Parameters
from smart_filter_workers.networks.runtimes import network_input
from smart_filter_workers.networks.runtimes.network_cache import NetworkCache
from smart_filter_workers.networks.runtimes.network_input import ConfiguredNetwork, TrainedTask
from smart_filter_workers.results import PreparedPhoto
from smart_filter_workers.stages.segmentation.mattes.edges import refine_edges
from smart_filter_workers.stages.segmentation.models.base import People
from smart_filter_workers.weights import allowlist
from smart_filter_workers.weights.allowlist import AdmittedFile

OpenNetwork = Callable[[bytes, AdmittedFile], ConfiguredNetwork]
Segment = Callable[[ConfiguredNetwork, PreparedPhoto, Parameters], People]


@dataclass(frozen=True, slots=True)
class AdmittedNetworks:
    """Segments with the network that the recipe names; segment: runs a network on one picture."""

    networks: NetworkCache[ConfiguredNetwork]
    segment: Segment

    def __call__(self, batch: Sequence[PreparedPhoto], *, parameters: Parameters) -> list[People]:
        """Return the people of each picture.

        One picture at a time: a batch of four needs 12 GB with the largest of them.
        Raises ModelNotLoaded when this machine cannot run the entry.
        """
        if not batch:
            return []
        opened = self.networks.network(read.str_of(parameters, ENTRY_PARAMETER))
        return [self.segment(opened, photo, parameters) for photo in batch]


def list_entries(weights: Path, kind: str) -> tuple[str, ...]:
    """Return the names of the networks of a kind whose files are in the weights folder."""
    return tuple(sorted(allowlist.entries(weights, kind)))


def load_networks(
    weights: Path, kind: str, default: str, open_network: OpenNetwork, segment: Segment
) -> AdmittedNetworks:
    """Load the default network, or the first that opens; others load on first use.

    Raises ModelNotLoaded when there is none, or none can be opened.
    """
    networks = NetworkCache(weights, kind, open_network)
    networks.warm(default)
    return AdmittedNetworks(networks, segment)


def segment_in_one_matte(
    opened: ConfiguredNetwork, prepared: PreparedPhoto, parameters: Parameters
) -> People:
    """Return the people of a picture by a network that gives one map of them."""
    del parameters  # the entry is opened already
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
