"""Segment persons by an instance segmentation network in ONNX: YOLO-seg or RTMDet-Ins."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from smart_filter_shared.catalog import parameters as read
from smart_filter_shared.catalog.model_card import ENTRY_PARAMETER, Commercial, ModelCard
from smart_filter_shared.catalog.parameters import Parameters
from smart_filter_shared.pipeline import TaskName
from smart_filter_workers.networks import instances, network_input, onnx_session
from smart_filter_workers.networks.network_cache import NetworkCache
from smart_filter_workers.networks.onnx_session import ConfiguredNetwork
from smart_filter_workers.results import PreparedPhoto
from smart_filter_workers.stages.segmentation.edges import refine_edges
from smart_filter_workers.stages.segmentation.models.base import People
from smart_filter_workers.weights import allowlist

KIND: Final = "yolo"
DEFAULT: Final = "rtmdet-ins-tiny"
THRESHOLD: Final = "threshold"
CARD: Final = ModelCard(
    name="yolo",
    version="1",
    task=TaskName.SEGMENTATION,
    family="yolo",
    title="Persons, separated: YOLO-seg (AGPL-3.0 weights) or RTMDet-Ins (Apache-2.0 weights)",
    source="the manifest's entries, docs/models.md",
    # Licenses of the ready entries together; YOLO's requires publishing the source of a service
    # built on it.
    license="AGPL-3.0-only AND Apache-2.0",
    data_terms="COCO 2017: annotations CC BY 4.0, pictures under Flickr's terms",
    commercial=Commercial.ASK,
    input_size=(640, 640),
    devices=("cpu", "cuda", "tensorrt"),
    parameters=(
        read.choice(ENTRY_PARAMETER, DEFAULT, "Network to use", choices=()),
        read.number(THRESHOLD, 0.5, "Least score of a person", least=0.05, most=1.0),
    ),
    instances=True,
)


def entries(weights: Path) -> tuple[str, ...]:
    """Return the names of the networks whose files are in the weights folder."""
    return tuple(sorted(allowlist.entries(weights, KIND)))


def load(weights: Path) -> "Yolo":
    """Load the default network, or the first that opens; others load on first use.

    Raises ModelNotLoaded when there is none, or none can be opened.
    """
    networks = NetworkCache(weights, KIND, onnx_session.open_network)
    networks.warm(DEFAULT)
    return Yolo(networks)


@dataclass(frozen=True, slots=True)
class Yolo:
    """Segments with the network that the recipe names."""

    networks: NetworkCache[ConfiguredNetwork]

    def __call__(self, batch: Sequence[PreparedPhoto], *, parameters: Parameters) -> list[People]:
        """Return the people of each picture, with a matte for each person.

        Raises ModelNotLoaded when this machine cannot run the entry.
        """
        if not batch:
            return []
        opened = self.networks.network(read.str_of(parameters, ENTRY_PARAMETER))
        threshold = read.float_of(parameters, THRESHOLD)
        return [_people(opened, one, threshold) for one in batch]


def _people(opened: ConfiguredNetwork, prepared: PreparedPhoto, threshold: float) -> People:
    srgb, used = prepared.proxy_srgb, opened.handling
    placed = network_input.prepare(srgb, used)
    answers = opened.network(placed.values)
    found = instances.find_persons(answers, placed, used, srgb, threshold=threshold)
    mattes = tuple(refine_edges(one.coverage, srgb) for one in found)
    empty = np.zeros(srgb.shape[:2], np.uint8)
    return People(np.maximum.reduce(mattes) if mattes else empty, persons=mattes)
