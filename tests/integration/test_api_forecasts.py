"""Where a job stands and when it will have ended, and what becomes of deadlines, over HTTP."""

import datetime as dt
import uuid

import httpx
import pytest
from sqlalchemy import text

from smart_filter_shared.ids import JobId, new_worker_id
from smart_filter_shared.jobs import fairness, outlook, paces, pauses, presence, transitions
from smart_filter_shared.jobs.outlook import Outlook
from smart_filter_shared.jobs.paces import Timed
from smart_filter_shared.jobs.presence import CELL, Worker
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.recipe import Background, BackgroundKind, Recipe
from smart_filter_tests import worlds
from smart_filter_tests.bench import Bench, capability
from smart_filter_tests.serving import Api, Clock, a_photo

PREPARE, SEGMENTATION, FACE, SMILE, COMPOSITE = StageName
KEEP = Recipe(background=Background(BackgroundKind.KEEP))
PHOTO = a_photo()


def submitted(api: Api, headers: dict[str, str] | None = None, **fields: str) -> httpx.Response:
    return api.client.post(
        "/v1/jobs",
        files={"photo": ("photo", PHOTO)},
        data={"background": "keep", **fields},
        headers=headers,
    )


def measured(bench: Bench, seconds: float, *, runs: int = 100) -> None:
    """Let every stage have been measured to take so long, and one worker with a thread live."""
    timed = Timed(runs, runs * seconds, runs * seconds**2, 0.0, 0.0, 0.0)
    served = [capability(stage) for stage in StageName]
    with bench.transaction() as connection:
        paces.add(connection, dict.fromkeys(served, timed))
        presence.announce(connection, Worker(new_worker_id(), "tests", 1, served, 1))


def look(bench: Bench) -> Outlook:
    with bench.transaction() as connection:
        now = dt.datetime.now(dt.UTC)
        return outlook.read(connection, cell=CELL, silent_seconds=30, now=now)


def test_accepted_jobs_have_their_place_in_the_queue(api: Api) -> None:
    measured(api.bench, 1.0)

    queues = [submitted(api).json()["queue"] for _ in range(3)]

    assert [queue["position"] for queue in queues] == [1, 2, 3]
    middles = [queue["eta_p50_s"] for queue in queues]
    assert middles == sorted(middles)
    assert middles[0] == pytest.approx(2.0, rel=0.1)
    assert middles[2] == pytest.approx(6.0, rel=0.2)
    assert all(queue["eta_p50_s"] < queue["eta_p90_s"] for queue in queues)


def test_job_that_an_operator_holds_up_is_promised_no_time(api: Api, clock: Clock) -> None:
    measured(api.bench, 1.0)
    job_id = submitted(api).json()["id"]
    api.bench.do(pauses.pause, capability(COMPOSITE))
    clock.make_old()

    held = [api.job(job_id)["queue"], submitted(api).json()["queue"]]
    api.bench.do(pauses.resume, capability(COMPOSITE))
    clock.make_old()
    freed = api.job(job_id)["queue"]

    assert [one["position"] for one in held] == [1, 2]
    assert {one[name] for one in held for name in ("eta_p50_s", "eta_p90_s")} == {None}
    assert freed["eta_p50_s"] > 0
    with api.bench.transaction() as connection:
        learned = connection.execute(text("SELECT count(*) FROM jobs WHERE foreseen_p50 IS NULL"))
        assert learned.scalar_one() == 1


def test_deadline_that_a_lighter_edge_meets_is_met_with_one(api: Api, clock: Clock) -> None:
    measured(api.bench, 1.0)
    usual = submitted(api).json()
    api.client.delete(f"/v1/jobs/{usual['id']}")
    deadline_ms = int(usual["queue"]["eta_p90_s"] * 990)
    clock.make_old()

    job = submitted(api, deadline_ms=str(deadline_ms)).json()

    assert job["degraded"] == ["edge=fast"]
    assert job["recipe"]["edge"] == "fast"
    assert job["queue"]["eta_p90_s"] < deadline_ms / 1000


def test_deadline_that_cannot_be_met_is_refused_and_leaves_nothing(api: Api) -> None:
    measured(api.bench, 1.0)

    answer = submitted(api, deadline_ms="200")

    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert int(answer.headers["Retry-After"]) >= 1
    assert "200 ms" in answer.json()["detail"]
    assert api.leftovers() == {}
    assert api.bench.scalar("SELECT count(*) FROM tenants") == 0


def test_job_whose_deadline_passes_while_it_waits_fails_and_is_redriven_without_one(
    api: Api,
) -> None:
    job_id = submitted(api, deadline_ms="600000").json()["id"]
    worlds.pass_deadline(api.bench, JobId(uuid.UUID(job_id)))

    claimed = api.bench.claim(PREPARE)
    api.bench.do(transitions.lapse)

    job = api.job(job_id)
    assert claimed == []
    assert (job["state"], job["error"]["code"], job["queue"]) == ("failed", "deadline", None)
    assert {stage["name"]: stage["state"] for stage in job["stages"]} == {
        "prepare": "failed",
        "composite": "canceled",
    }
    api.client.post(f"/v1/jobs/{job_id}/redrive")
    assert len(api.bench.claim(PREPARE)) == 1
    assert api.bench.do(transitions.lapse) == []


def test_outlook_holds_the_work_that_waiting_and_running_jobs_still_need(
    bench: Bench, api: Api
) -> None:
    del api  # it has published models
    measured(bench, 1.0)
    bench.submit()
    bench.advance(PREPARE)
    bench.claim_one(SEGMENTATION)
    bench.submit(KEEP)

    seen = look(bench)

    waiting = {work.capability: work.behind for work in seen.waiting}
    running = {work.capability: work.behind for work in seen.running}
    behind = {capability(SMILE), capability(COMPOSITE)}
    assert {one: set(names) for one, names in running.items()} == {capability(SEGMENTATION): behind}
    assert waiting == {
        capability(FACE): (),  # the rest that its job needs is counted with segmentation
        capability(PREPARE): (capability(COMPOSITE),),
    }
    assert seen.queues[capability(FACE)].places == [1]
    assert [pool.threads for pool in seen.pools] == [1]


def test_long_queues_are_counted_and_not_read(bench: Bench, api: Api) -> None:
    del api
    bench.submit(KEEP)
    with bench.transaction() as connection:
        for copies in (
            """
            INSERT INTO jobs
            SELECT (jsonb_populate_record(jobs, jsonb_build_object('id', uuidv7()))).*
            FROM jobs, generate_series(1, 1299)
            """,
            """
            INSERT INTO stages SELECT (jsonb_populate_record(
                stages, jsonb_build_object('job_id', jobs.id, 'rank', random())
            )).*
            FROM stages, jobs WHERE jobs.id <> stages.job_id
            """,
        ):
            connection.execute(text(copies))

    seen = look(bench)

    queue = seen.queues[capability(PREPARE)]
    assert (len(queue.ranks), queue.places[-1]) == (1003, 1300)
    assert sum(work.weight for work in seen.waiting) == pytest.approx(1300, rel=0.1)
    assert len(seen.waiting) < 50


def test_forecast_of_an_ended_job_is_learned_from_once(api: Api) -> None:
    submitted(api)
    api.bench.advance(PREPARE, COMPOSITE)

    def learnt() -> list[tuple[str, int]]:
        with api.bench.transaction() as connection:
            fairness.settle(connection)
            rows = connection.execute(text("SELECT priority, jobs FROM foresight"))
            return [(row.priority, row.jobs) for row in rows]

    assert learnt() == [("standard", 1)]
    assert learnt() == [("standard", 1)]
