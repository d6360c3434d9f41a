"""Persons one by one, by an instance segmentation network in ONNX: YOLO-seg or RTMDet-Ins."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from smart_filter_shared import parameters as read
from smart_filter_shared.cards import ENTRY, ModelCard, TaskName
from smart_filter_shared.parameters import Parameters
from smart_filter_workers import admitted
from smart_filter_workers.networks import instances, onnx_session, placing
from smart_filter_workers.networks.onnx_session import HandledNetwork
from smart_filter_workers.networks.shelf import Shelf
from smart_filter_workers.results import Prepared
from smart_filter_workers.stages.segmentation.edges import refine
from smart_filter_workers.stages.segmentation.models.base import People

KIND: Final = "yolo"
DEFAULT: Final = "rtmdet-ins-tiny"
THRESHOLD: Final = "threshold"
CARD: Final = ModelCard(
    name="yolo",
    version="1",
    task=TaskName.SEGMENTATION,
    family="yolo",
    title="Persons one by one: YOLO-seg (AGPL-3.0 weights) or RTMDet-Ins (Apache-2.0 weights)",
    source="the manifest's entries, docs/models.md",
    # Of the ready entries together; YOLO's asks for the source of a service built on it.
    licence="AGPL-3.0-only AND Apache-2.0",
    data_terms="COCO 2017: annotations CC BY 4.0, pictures under Flickr's terms",
    input_size=(640, 640),
    devices=("cpu", "cuda", "tensorrt"),
    parameters=(
        read.choice(ENTRY, DEFAULT, "Which network", choices=()),
        read.number(THRESHOLD, 0.5, "least score of a person, 0 to 1", least=0.05, most=1.0),
    ),
    instances=True,
)


def entries(weights: Path) -> tuple[str, ...]:
    """Return the names of the networks whose files are there."""
    return tuple(sorted(admitted.entries(weights, KIND)))


def load(weights: Path) -> "Yolo":
    """Load the default network, or the first that opens; others when they are asked for.

    Raises ModelNotLoaded when there is none, or none can be opened.
    """
    shelf = Shelf(weights, KIND, onnx_session.opened)
    shelf.warm(DEFAULT)
    return Yolo(shelf)


@dataclass(frozen=True, slots=True)
class Yolo:
    """The model; it needs to be told its parameters."""

    shelf: Shelf[HandledNetwork]

    def __call__(self, batch: Sequence[Prepared], *, parameters: Parameters) -> list[People]:
        """Return the people of each picture, each person with a matte of their own.

        Raises ModelNotLoaded when this machine cannot run the entry.
        """
        if not batch:
            return []
        opened = self.shelf.network(read.str_of(parameters, ENTRY))
        threshold = read.float_of(parameters, THRESHOLD)
        return [_people(opened, one, threshold) for one in batch]


def _people(opened: HandledNetwork, prepared: Prepared, threshold: float) -> People:
    srgb, used = prepared.proxy_srgb, opened.handling
    placed = placing.place(srgb, used)
    answers = opened.network(placed.values)
    found = instances.persons(answers, placed, used, srgb, threshold=threshold)
    mattes = tuple(refine(one.coverage, srgb) for one in found)
    nobody = np.zeros(srgb.shape[:2], np.uint8)
    return People(np.maximum.reduce(mattes) if mattes else nobody, persons=mattes)
