"""The people of `people` and their things, with outlines by BiRefNet; for `edge=best`."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

from smart_filter_shared.catalog import parameters as given
from smart_filter_shared.catalog.model_card import Commercial, ModelCard
from smart_filter_shared.catalog.parameters import Parameters
from smart_filter_shared.pipeline import TaskName
from smart_filter_shared.recipe import Edge
from smart_filter_workers.networks.coverage import birefnet
from smart_filter_workers.networks.coverage.coverage_network import CoverageNetwork
from smart_filter_workers.results import PreparedPhoto
from smart_filter_workers.stages.segmentation.models.base import (
    OutlineRefiner,
    People,
    Segmenter,
)

PEOPLE: Final = "people"


class Detail(StrEnum):
    """The network that looks."""

    FINE = "fine"
    FAST = "fast"


FILES: Final = {Detail.FINE: birefnet.PORTRAIT, Detail.FAST: birefnet.LITE}

CARD: Final = ModelCard(
    name="best",
    version="2",
    task=TaskName.SEGMENTATION,
    family="best",
    title="People and what they hold, with outlines by BiRefNet; quality not measured here",
    source="github.com/ZhengPeng7/BiRefNet, release v1; the model people",
    license="MIT",
    data_terms=(
        "fine: P3M-10k (MIT) and humans (Apache-2.0); fast: also DIS5K and other sets, some not"
        " for commerce (BiRefNet #306); and the terms of people"
    ),
    commercial=Commercial.NO,
    weights=tuple(FILES.values()),
    optional=True,
    requires=("onnx",),
    extra="onnx",
    input_size=(birefnet.SIDE_PX, birefnet.SIDE_PX),
    devices=("cpu", "cuda", "tensorrt"),
    # Random weights in networks of the same shape, with `people`: docs/models/birefnet.md.
    speed={"cpu_ms": 37_000.0, "peak_mb": 5_200.0},
    parameters=(
        given.choice(
            "detail",
            Detail.FINE,
            "Which network: fine, trained on people, or fast, a smaller one",
            choices=tuple(Detail),
        ),
    ),
    combines=True,
    instances=True,
    best_edge=True,
)


def load(weights: Path, others: Callable[[str], Segmenter]) -> "Best":
    """Load both networks from the weights folder; `people` is loaded on first use."""
    networks = {detail: birefnet.load(weights, file) for detail, file in FILES.items()}
    return Best(others, networks)


@dataclass(frozen=True, slots=True)
class Best:
    """Asks a further network about the outlines of `people`; any thread may call it.

    others: returns another model of the task by name.
    """

    others: Callable[[str], Segmenter]
    networks: Mapping[Detail, CoverageNetwork]
    # One photo at a time: a pass of either network takes gigabytes.
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, batch: Sequence[PreparedPhoto], *, parameters: Parameters) -> list[People]:
        """Return the people of each picture, separated if `people` separates them."""
        network = self.networks[Detail(given.str_of(parameters, "detail"))]
        segmenter = self.others(PEOPLE)
        assert isinstance(segmenter, OutlineRefiner)
        with self.lock:
            return [
                segmenter.refine_outlines(people, photo, Edge.BEST, network)
                for people, photo in zip(segmenter(batch), batch, strict=True)
            ]
