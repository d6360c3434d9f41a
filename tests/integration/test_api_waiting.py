"""Waiting for a job over HTTP: until it ends, until it changes, and event by event."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from smart_filter_shared.jobs import events, transitions
from smart_filter_shared.jobs.leases import Done, Lease
from smart_filter_shared.pipeline import StageName
from smart_filter_tests.bench import KEEPING, Bench
from smart_filter_tests.serving import Api, a_photo

PREPARE, COMPOSITE = StageName.PREPARE, StageName.COMPOSITE
# Long enough that only what is waited for ends the wait.
LONG = {"Prefer": "wait=60"}
RESULT = {"facts": {}, "arrays": {}, "files": {}}
PREPARED = {**RESULT, "facts": {"width": 64, "height": 48, "format": "jpg", "proposals": []}}


@dataclass(frozen=True, slots=True)
class Sent:
    id: int
    type: str
    data: dict[str, Any]


def kept(api: Api) -> str:
    """Submit a job of two stages, prepare and composite."""
    return api.submit(background="keep")


def finish(api: Api) -> None:
    api.finish(PREPARE, PREPARED)
    api.finish(COMPOSITE, RESULT)


def sent(lines: Iterator[str]) -> Iterator[Sent]:
    fields: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(": ")
        if line:
            fields[name] = value
        elif "data" in fields:
            yield Sent(int(fields["id"]), fields["event"], json.loads(fields["data"]))
            fields = {}


def followed(api: Api, job_id: str, after: int | None = None) -> list[Sent]:
    headers = {} if after is None else {"Last-Event-ID": str(after)}
    with api.client.stream("GET", f"/v1/jobs/{job_id}/events", headers=headers) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        return list(sent(answer.iter_lines()))


@pytest.fixture
def beside() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


def test_submission_waits_for_the_end_when_that_is_preferred(
    api: Api, beside: ThreadPoolExecutor
) -> None:
    def submit(seconds: int) -> httpx.Response:
        return api.client.post(
            "/v1/jobs",
            files={"photo": ("photo", a_photo())},
            data={"background": "keep"},
            headers={"Prefer": f"wait={seconds}"},
        )

    answer = beside.submit(submit, 60)
    while not api.client.get("/v1/jobs").json()["items"]:
        pass  # it is on its way
    finish(api)
    accepted = submit(0)

    assert answer.result().status_code == 200
    assert answer.result().headers["Preference-Applied"] == "wait=60"
    assert answer.result().json()["state"] == "succeeded"
    assert (accepted.status_code, accepted.json()["state"]) == (202, "queued")
    assert accepted.headers["Preference-Applied"] == "wait=0"


def test_look_with_a_tag_waits_until_the_job_changes(api: Api, beside: ThreadPoolExecutor) -> None:
    job_id = kept(api)
    first = api.client.get(f"/v1/jobs/{job_id}")
    known = {"If-None-Match": first.headers["ETag"]}

    assert api.client.get(f"/v1/jobs/{job_id}", headers=known).status_code == 304

    answer = beside.submit(api.client.get, f"/v1/jobs/{job_id}", headers={**known, **LONG})
    api.finish(PREPARE, PREPARED)

    assert answer.result().status_code == 200
    assert answer.result().headers["ETag"] != first.headers["ETag"]
    assert answer.result().json()["state"] == "running"


def test_waits_end_at_once_when_their_job_is_deleted(api: Api, beside: ThreadPoolExecutor) -> None:
    job_id = kept(api)
    answer = beside.submit(api.client.get, f"/v1/jobs/{job_id}", headers=LONG)

    with api.client.stream("GET", f"/v1/jobs/{job_id}/events") as stream:
        lines = stream.iter_lines()
        first = next(sent(lines))
        assert api.client.delete(f"/v1/jobs/{job_id}").status_code == 204
        rest = list(lines)

    assert first.type == "job.queued"
    assert [line for line in rest if line] == []  # not even what keeps a stream alive
    assert answer.result().status_code == 410
    assert answer.result().json()["code"] == "job_deleted"


def test_events_tell_all_that_happened_in_order(api: Api) -> None:
    job_id = kept(api)
    finish(api)

    events_ = followed(api, job_id)

    assert [one.type for one in events_] == [
        *("job.queued", "job.running"),
        *("job.stage", "job.stage", "job.succeeded"),
    ]
    assert [one.id for one in events_] == sorted({one.id for one in events_})
    assert events_[-1].data["type"] == "job.succeeded"
    assert events_[-1].data["data"] == api.job(job_id)
    assert events_[0].data["timestamp"].endswith("Z")
    assert followed(api, job_id, after=events_[2].id) == events_[3:]
    last = {"Last-Event-ID": str(events_[-1].id)}
    assert api.client.get(f"/v1/jobs/{job_id}/events", headers=last).status_code == 204


def test_events_come_as_they_happen(api: Api) -> None:
    job_id = kept(api)
    with api.client.stream("GET", f"/v1/jobs/{job_id}/events") as answer:
        told = sent(answer.iter_lines())
        assert next(told).type == "job.queued"

        api.finish(PREPARE, PREPARED)

        assert [next(told).type, next(told).type] == ["job.running", "job.stage"]
        api.finish(COMPOSITE, RESULT)
        assert [one.type for one in told] == ["job.stage", "job.succeeded"]


def test_event_that_is_committed_late_is_news(bench: Bench) -> None:
    """Ids are drawn before the commit: who goes by them would miss the first."""
    first, second = bench.submit(), bench.submit()
    leases = {lease.job_id: lease for lease in (bench.claim_one(PREPARE), bench.claim_one(PREPARE))}
    horizon = bench.do(events.news, None).horizon

    with bench.transaction() as slow:
        transitions.complete(slow, [done(leases[first])], KEEPING)
        bench.do(transitions.complete, [done(leases[second])], KEEPING)
        seen = bench.do(events.news, horizon)
    later = bench.do(events.news, seen.horizon)

    assert set(seen.jobs) == {second}
    assert first in later.jobs


def done(lease: Lease) -> Done:
    return Done(lease, RESULT, 0.1, {})
