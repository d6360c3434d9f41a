"""Segment persons by an instance segmentation network in ONNX: YOLO-seg or RTMDet-Ins."""

from pathlib import Path
from typing import Final

import numpy as np

from smart_filter_shared.catalog import parameters as read
from smart_filter_shared.catalog.model_card import ENTRY_PARAMETER, Commercial, ModelCard
from smart_filter_shared.catalog.parameters import Parameters
from smart_filter_shared.pipeline import TaskName
from smart_filter_workers.networks import instances
from smart_filter_workers.networks.runtimes import network_input, onnx_network
from smart_filter_workers.networks.runtimes.network_input import ConfiguredNetwork
from smart_filter_workers.results import PreparedPhoto
from smart_filter_workers.stages.segmentation.admitted_networks import (
    AdmittedNetworks,
    list_entries,
    load_networks,
)
from smart_filter_workers.stages.segmentation.mattes.edges import refine_edges
from smart_filter_workers.stages.segmentation.models.base import People

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
    return list_entries(weights, KIND)


def load(weights: Path) -> AdmittedNetworks:
    """Load the default network, or the first that opens.  Raises ModelNotLoaded."""
    return load_networks(weights, KIND, DEFAULT, onnx_network.open_network, _people)


def _people(opened: ConfiguredNetwork, prepared: PreparedPhoto, parameters: Parameters) -> People:
    srgb, used = prepared.proxy_srgb, opened.handling
    placed = network_input.prepare(srgb, used)
    answers = opened.network(placed.values)
    persons = instances.find_persons(
        answers, placed, used, srgb, threshold=read.float_of(parameters, THRESHOLD)
    )
    mattes = tuple(refine_edges(person.coverage, srgb) for person in persons)
    empty = np.zeros(srgb.shape[:2], np.uint8)
    return People(np.maximum.reduce(mattes) if mattes else empty, persons=mattes)
