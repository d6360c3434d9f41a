"""Segment with admitted networks in ONNX, each run as its manifest entry says."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from smart_filter_shared.catalog import parameters as read
from smart_filter_shared.catalog.model_card import ENTRY_PARAMETER
from smart_filter_shared.catalog.parameters import Parameters
from smart_filter_workers.networks.runtimes import onnx_session
from smart_filter_workers.networks.runtimes.network_cache import NetworkCache
from smart_filter_workers.networks.runtimes.onnx_session import ConfiguredNetwork
from smart_filter_workers.results import PreparedPhoto
from smart_filter_workers.stages.segmentation.models.base import People
from smart_filter_workers.weights import allowlist

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


def load_networks(weights: Path, kind: str, default: str, segment: Segment) -> AdmittedNetworks:
    """Load the default network, or the first that opens; others load on first use.

    Raises ModelNotLoaded when there is none, or none can be opened.
    """
    networks = NetworkCache(weights, kind, onnx_session.open_network)
    networks.warm(default)
    return AdmittedNetworks(networks, segment)
