"""Any segmentation or matting network in ONNX, used as its manifest entry says."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from smart_filter_shared import parameters as read
from smart_filter_shared.cards import ENTRY, ModelCard, TaskName
from smart_filter_shared.parameters import Parameters
from smart_filter_workers import admitted
from smart_filter_workers.networks import onnx_session, placing
from smart_filter_workers.networks.handling import Task
from smart_filter_workers.networks.onnx_session import HandledNetwork
from smart_filter_workers.networks.shelf import Shelf
from smart_filter_workers.results import Prepared
from smart_filter_workers.stages.segmentation.edges import refine
from smart_filter_workers.stages.segmentation.models.base import People

KIND: Final = "onnx"
DEFAULT: Final = "u2netp"
CARD: Final = ModelCard(
    name="onnx",
    version="1",
    task=TaskName.SEGMENTATION,
    family="onnx",
    title="Any segmentation or matting network in ONNX, such as U²-Net, IS-Net, MODNet, BiRefNet",
    source="the manifest's entries, docs/models.md",
    # Of the ready entries; what is offered is under those of the entries that are there.
    licence="Apache-2.0 AND MIT",
    data_terms="each entry's own: docs/models.md",
    devices=("cpu", "cuda", "tensorrt"),
    parameters=(read.choice(ENTRY, DEFAULT, "Which network", choices=()),),
)


def entries(weights: Path) -> tuple[str, ...]:
    """Return the names of the networks whose files are there."""
    return tuple(sorted(admitted.entries(weights, KIND)))


def load(weights: Path) -> "Onnx":
    """Load the default network, or the first that opens; others when they are asked for.

    Raises ModelNotLoaded when there is none, or none can be opened.
    """
    shelf = Shelf(weights, KIND, onnx_session.opened)
    shelf.warm(DEFAULT)
    return Onnx(shelf)


@dataclass(frozen=True, slots=True)
class Onnx:
    """The model; it needs to be told its parameters."""

    shelf: Shelf[HandledNetwork]

    def __call__(self, batch: Sequence[Prepared], *, parameters: Parameters) -> list[People]:
        """Return the people of each picture; such networks do not tell persons apart.

        One picture at a time: a batch of four needs 12 GB with the largest of them.
        Raises ModelNotLoaded when this machine cannot run the entry.
        """
        if not batch:
            return []
        opened = self.shelf.network(read.str_of(parameters, ENTRY))
        return [_people(opened, one) for one in batch]


def _people(opened: HandledNetwork, prepared: Prepared) -> People:
    srgb, used = prepared.proxy_srgb, opened.handling
    placed = placing.place(srgb, used)
    answers = opened.network(placed.values)
    if used.output >= len(answers):
        raise ValueError(f"the network has {len(answers)} answers, none with number {used.output}")
    seen = placing.coverage(answers[used.output], used)
    matte_01 = placing.to_picture(seen, placed, used, srgb)
    if used.task == Task.SEGMENTATION:
        return People(refine(matte_01, srgb), persons=None)
    return People(np.rint(np.clip(matte_01, 0, 1) * 255).astype(np.uint8), persons=None)
