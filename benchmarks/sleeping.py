"""Run a real worker whose model sleeps, so that only the queue costs processor time.

python -m benchmarks.sleeping STAGE SECONDS GROWTH BATCH THREADS

A photo sleeps for SECONDS, and each further one of its batch for GROWTH times as long. With a
GROWTH of 0 a batch takes as long as one photo, as on a GPU with room for more photos.
"""

import sys
import time
from collections.abc import Callable, Sequence
from types import ModuleType

import numpy as np

from smart_filter_deploy import wiring
from smart_filter_shared.catalog.model_card import ModelCard
from smart_filter_shared.config import settings
from smart_filter_shared.pipeline import LEADING_TASK, StageName
from smart_filter_shared.results import Face
from smart_filter_workers.results import PreparedPhoto, Srgb8
from smart_filter_workers.stages.segmentation.models.base import People

# The model's name; `smart_filter_tests.bench` writes jobs for it.
_NAME = "bench"


def model(stage: StageName, *, seconds: float, growth: float, batch_size: int) -> ModuleType:
    """Return a model of segmentation or face that sleeps and finds no person."""

    def sleep(photos: int) -> None:
        if seconds:  # a sleep of nothing gives the core away
            time.sleep(seconds * (1 + growth * (photos - 1)))

    def no_people(batch: Sequence[PreparedPhoto]) -> list[People]:
        sleep(len(batch))
        return [People(np.zeros(photo.proxy_srgb.shape[:2], np.uint8), None) for photo in batch]

    def no_face(
        batch: Sequence[Srgb8], _: Sequence[tuple[Face, ...]] = (), /
    ) -> list[tuple[Face, ...]]:
        sleep(len(batch))
        return [() for _ in batch]

    models: dict[StageName, Callable[..., object]] = {
        StageName.SEGMENTATION: no_people,
        StageName.FACE: no_face,
    }
    card = ModelCard(
        name=_NAME,
        version="1",
        task=LEADING_TASK[stage],
        family=_NAME,
        title=f"Sleeps for {seconds:g} s",
        source="the benchmarks",
        license="Apache-2.0",
        data_terms="",
        batch_size=batch_size,
    )
    made = ModuleType(f"sleeping_{stage}")
    vars(made).update(CARD=card, load=lambda _: models[stage])
    return made


if __name__ == "__main__":
    _stage, _seconds, _growth, _batch, _threads = sys.argv[1:]
    wiring.serve_worker(
        settings.load(),
        stages=[StageName(_stage)],
        models=[_NAME],
        threads=int(_threads),
        extra_models=[
            model(
                StageName(_stage),
                seconds=float(_seconds),
                growth=float(_growth),
                batch_size=int(_batch),
            ),
        ],
    )
