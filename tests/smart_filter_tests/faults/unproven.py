"""A model whose behavior its weights decide, as weights that were never promoted may do."""

import hashlib
import os
import signal
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from smart_filter_shared.catalog.model_card import WeightsFile
from smart_filter_tests import faults
from smart_filter_workers.results import PreparedPhoto
from smart_filter_workers.stages.segmentation.models.base import People, Segmenter

BEHAVES: Final = b"behave"
HANGS: Final = b"hang"
CRASHES: Final = b"crash"
FILE: Final = "unproven/people.bin"

CARD = replace(
    faults.card("unproven"),
    title="A model that does what its weights say",
    weights=(WeightsFile(FILE, hashlib.sha256(BEHAVES).hexdigest()),),
    learns=FILE,
)


def load(weights: Path) -> Segmenter:
    says = (weights / FILE).read_bytes()

    def cut(batch: Sequence[PreparedPhoto]) -> list[People]:
        if says == HANGS:
            threading.Event().wait()
        if says == CRASHES:
            os.kill(os.getpid(), signal.SIGKILL)
        return faults.people_everywhere(batch)

    return cut
