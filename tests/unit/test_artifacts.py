from dataclasses import dataclass
from typing import Any, cast

from smart_filter_shared.pipeline import StageName
from smart_filter_shared.rating import SmileLevel
from smart_filter_shared.storage.objects import ObjectStore
from smart_filter_tests.job_rows import a_job_row
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
    """Read the smiles of a job back; none of them are in storage."""
    # No test here asks storage, or for backgrounds.
    artifacts = Artifacts(
        cast("ObjectStore", None), Recent(0), cast("StockRoom", None), cast("Fetcher", None)
    )
    return artifacts.load(a_job_row({StageName.SMILE: facts}), Wanted).smiles


def test_fact_that_an_older_worker_did_not_store_has_its_default() -> None:
    assert read(RATED) == Smiles(
        (Smile(SmileLevel.HUGE, 0.9, None),), (Eyes(left_open=True, right_open=None),)
    )
