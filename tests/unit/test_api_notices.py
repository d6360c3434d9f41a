import dataclasses
import json
import uuid
from typing import Any

import pytest

from smart_filter_api import answers, notices
from smart_filter_shared.ids import BatchId, DeliveryId, JobId, LeaseToken, Tenant
from smart_filter_shared.jobs.batches import BatchRow, Item
from smart_filter_shared.jobs.deliveries import Claimed
from smart_filter_shared.jobs.queries import JobRow
from smart_filter_shared.jobs.retention import Keeping
from smart_filter_shared.jobs.states import JobState
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.recipe import Output, Recipe
from smart_filter_tests.job_rows import CREATED_AT, a_job_row

KEEPING = Keeping(1, 1)
FACE = {"box": [1.25, 2.25, 30.125, 40.125], "score": 0.987654, "landmarks": [[1.123, 2.123]] * 5}


def a_job(faces: int, metadata: dict[str, str] | None = None) -> JobRow:
    recipe = Recipe(outputs=(Output.IMAGE, Output.RATING), metadata=metadata or {})
    rated = {
        "smiles": [{"level": "mild", "score": 0.5}] * faces,
        "eyes": [{"left_open": True, "right_open": None}] * faces,
    }
    facts = {StageName.FACE: {"faces": [FACE] * faces}, StageName.SMILE: rated}
    return a_job_row(facts, recipe=recipe, state=JobState.SUCCEEDED, finished_at=CREATED_AT)


def a_claimed(job: JobRow | None) -> Claimed:
    return Claimed(
        id=DeliveryId(uuid.UUID(int=2)),
        tenant=Tenant("tests"),
        webhook="a webhook",
        url=None,
        lane="lane",
        job_id=None if job is None else job.id,
        type="webhook.test" if job is None else "job.succeeded",
        happened_at=CREATED_AT,
        attempt=1,
        token=LeaseToken(uuid.UUID(int=3)),
    )


def sent(job: JobRow | None) -> tuple[int, dict[str, Any]]:
    body = notices.body(a_claimed(job), job, KEEPING)
    return len(body), json.loads(body)


def test_job_is_sent_as_get_shows_it() -> None:
    job = a_job(faces=3)

    assert sent(job)[1] == {
        "type": "job.succeeded",
        "timestamp": "2026-01-01T08:30:00Z",
        "data": json.loads(answers.job(job, KEEPING).model_dump_json()),
    }


@pytest.mark.parametrize("letter", ["x", "ü", "😀", "\x01", '"'])
def test_no_metadata_makes_it_larger_than_20_kb(letter: str) -> None:
    metadata = {f"{number:x}" * 64: letter * 256 for number in range(16)}

    length, document = sent(a_job(faces=600, metadata=metadata))

    assert length <= 20_000
    assert document["data"]["state"] == "succeeded"
    assert document["data"]["links"]["self"].endswith("1")


def a_batch(items: int) -> BatchRow:
    return BatchRow(
        id=BatchId(uuid.UUID(int=4)),
        tenant=Tenant("tests"),
        total=items,
        best=None,
        ranked_at=None,
        created_at=CREATED_AT,
        finished_at=CREATED_AT,
        webhook_url=None,
        counts={JobState.SUCCEEDED: items},
        items=[
            Item(index, JobId(uuid.UUID(int=index)), JobState.SUCCEEDED, None, None, False)
            for index in range(items)
        ],
    )


def test_items_of_a_large_batch_become_a_count_and_a_link() -> None:
    batch = a_batch(items=1000)
    claimed = dataclasses.replace(a_claimed(None), type="batch.finished", batch_id=batch.id)

    body = notices.body(claimed, batch, KEEPING)

    document, link = json.loads(body), f"/v1/batches/{batch.id}"
    assert len(body) < notices.MOST_BYTES
    assert document["data"]["succeeded"] == 1000
    assert document["data"]["items"] == {"count": 1000, "url": link}
