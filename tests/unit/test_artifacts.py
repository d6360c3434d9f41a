"""What is read back of the row of a stage."""

import datetime as dt
import uuid
from dataclasses import dataclass
from typing import Any, cast

from smart_filter_shared.ids import JobId, Tenant
from smart_filter_shared.jobs.queries import JobRow, StageRow
from smart_filter_shared.jobs.states import JobState
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.rating import SmileLevel
from smart_filter_shared.recipe import Recipe
from smart_filter_shared.storage.objects import ObjectStore
from smart_filter_workers.artifacts import Artifacts
from smart_filter_workers.fetcher import Fetcher
from smart_filter_workers.recent import Recent
from smart_filter_workers.results import Eyes, Smile, Smiles
from smart_filter_workers.stock.room import StockRoom

RATED = {
    "smiles": [{"level": "huge", "score": 0.9}],
    "eyes": [{"left_open": True, "right_open": None}],
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a stage reads that reads smiles only."""

    smiles: Smiles | None


def read(facts: dict[str, Any]) -> Smiles | None:
    """Read the smiles of a job back; nothing of them is in storage."""
    row = JobRow(
        id=JobId(uuid.UUID(int=1)),
        tenant=Tenant("tests"),
        state=JobState.RUNNING,
        recipe=Recipe(),
        seed=1,
        photo_key="key",
        created_at=dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
        finished_at=None,
        error=None,
        stages=(
            StageRow(
                name=StageName.SMILE,
                state="succeeded",
                attempt=1,
                models={},
                seconds=None,
                result={"facts": facts, "arrays": {}, "files": {}},
            ),
        ),
    )
    # Nothing here asks storage, or for backgrounds.
    artifacts = Artifacts(
        cast("ObjectStore", None), Recent(0), cast("StockRoom", None), cast("Fetcher", None)
    )
    return artifacts.load(row, Wanted).smiles


def test_what_an_older_worker_did_not_know_of_has_its_default() -> None:
    assert read(RATED) == Smiles(
        (Smile(SmileLevel.HUGE, 0.9, None),), (Eyes(left_open=True, right_open=None),)
    )


def test_emotions_are_read_back_as_they_were_kept() -> None:
    shares = [0.25, 0.0, 0.75, 0.0, 0.0, 0.0, 0.0, 0.0]
    (smile,) = RATED["smiles"]

    smiles = read({**RATED, "smiles": [{**smile, "emotion": shares}]})

    assert smiles is not None
    assert smiles.smiles == (Smile(SmileLevel.HUGE, 0.9, tuple(shares)),)
