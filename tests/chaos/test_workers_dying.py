"""Workers that are killed, halted, or asked to stop, while photos are in progress."""

import functools
import random
import signal
import uuid
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from smart_filter_shared.ids import JobId
from smart_filter_shared.operations import consistency
from smart_filter_shared.queue import events
from smart_filter_shared.queue.events import EventType
from smart_filter_tests import worker
from smart_filter_tests.storm import LEASE_SECONDS, PHOTOS, WORKERS, Plan, Storm, storm

pytestmark = pytest.mark.timeout(600)
# About the duration of a burst here.
BURST_SECONDS = 0.25 * PHOTOS
BEST = 2


Act = Callable[[str], object]


def at_any_moment(chance: random.Random, act: Act, *, times: int) -> Plan:
    """Return a plan of actions on workers at random times of a burst."""
    return [
        (chance.uniform(0, BURST_SECONDS), functools.partial(act, name))
        for name in chance.choices(WORKERS, k=times)
    ]


def test_workers_killed_at_any_moment_lose_nothing(
    storm_stack: Storm, chance: random.Random
) -> None:
    job_ids = storm_stack.submit()
    kill = storm_stack.running.stack.kill

    storm_stack.ride_out(at_any_moment(chance, kill, times=max(3, PHOTOS // 12)))

    assert storm_stack.damage(job_ids) == []


def test_album_with_killed_workers_is_ranked_and_finishes_once(
    storm_stack: Storm, chance: random.Random
) -> None:
    batch_id, job_ids = storm_stack.submit_album(BEST)

    storm_stack.ride_out(at_any_moment(chance, storm_stack.running.stack.kill, times=3))

    batch = storm_stack.running.client.get(f"/v1/batches/{batch_id}").json()
    assert storm_stack.damage(job_ids) == []
    assert sorted(item["rank"] for item in batch["items"]) == list(range(1, PHOTOS + 1))
    jobs = [storm_stack.running.job(job_id) for job_id in job_ids]
    assert {job["rank"] for job in jobs if job["image"] is not None} == set(range(1, BEST + 1))
    with storm_stack.bench.transaction() as connection:
        batch_events = events.list_for_job(connection, JobId(uuid.UUID(batch_id)))
    assert [event.type for event in batch_events].count(EventType.BATCH_FINISHED) == 1


def test_worker_halted_past_its_lease_overwrites_nothing(
    storm_stack: Storm, chance: random.Random
) -> None:
    job_ids = storm_stack.submit()
    send = storm_stack.running.stack.send
    at = chance.uniform(0.2, 2)

    storm_stack.ride_out(
        [
            (at, lambda: send(WORKERS[0], signal.SIGSTOP)),
            (at + 2 * LEASE_SECONDS, lambda: send(WORKERS[0], signal.SIGCONT)),
        ]
    )

    assert storm_stack.damage(job_ids) == []


def test_all_workers_and_the_api_killed_at_once_lose_nothing(
    storm_stack: Storm, chance: random.Random
) -> None:
    def kill_all() -> None:
        for name in ("api", *WORKERS):
            storm_stack.running.stack.kill(name)

    job_ids = storm_stack.submit()

    storm_stack.ride_out([(chance.uniform(0.2, 2), kill_all)])
    storm_stack.calm_down()

    assert storm_stack.damage(job_ids) == []


def test_photos_that_break_workers_fail_alone(storm_stack: Storm) -> None:
    with ExitStack() as armed:
        for model in ("raises", "exhausts", "kills-always"):
            armed.enter_context(storm_stack.running.arm(model))
        poisons = {
            model: storm_stack.running.submit(segmentation__model=model)
            for model in ("raises", "exhausts", "kills")
        }
        job_ids = storm_stack.submit()
        storm_stack.ride_out([(0, lambda: None)])
        ends = {model: storm_stack.running.job(job_id) for model, job_id in poisons.items()}

    assert storm_stack.damage(job_ids) == []
    assert {model: job["error"]["code"] for model, job in ends.items()} == {
        "raises": "model_failed",
        "exhausts": "model_failed",
        "kills": "poison",
    }


def test_killed_worker_gives_its_stages_back_when_it_is_restarted(
    data_folder: Path, weights_folder: Path
) -> None:
    with storm(data_folder / "killed", weights_folder, lease_seconds=3600) as stack:
        with stack.running.arm("hangs") as flag:
            job_id = stack.running.submit(segmentation__model="hangs")
            stack.running.until(flag.with_suffix(".reached").exists)
        for name in WORKERS:
            stack.running.stack.kill(name)
        stack.ride_out([])

        assert stack.damage([job_id]) == []


def test_photo_that_hangs_workers_fails_alone(data_folder: Path, weights_folder: Path) -> None:
    limit = {"SMART_FILTER_STAGE_SECONDS": "10"}
    with storm(data_folder / "hanging", weights_folder, **limit) as stack:
        with stack.running.arm("hangs"):
            poison = stack.running.submit(segmentation__model="hangs")
            job_ids = stack.submit()
            stack.ride_out([])
            end = stack.running.job(poison)

        assert stack.damage(job_ids) == []
        assert (end["state"], end["error"]["code"]) == ("failed", "poison")


def test_workers_with_wrong_clocks_lose_nothing(storm_stack: Storm) -> None:
    def restart_workers() -> None:
        for name in WORKERS:
            storm_stack.running.stack.kill(name)

    clocks = [storm_stack.running.faults / name for name in worker.WRONG_CLOCKS]
    for clock in clocks:
        clock.touch()
    job_ids = storm_stack.submit()
    try:
        storm_stack.ride_out([(0, restart_workers)])
    finally:
        restart_workers()  # their clocks are right again

    assert storm_stack.damage(job_ids) == []
    assert not any(clock.exists() for clock in clocks)


def test_stopping_worker_returns_its_stages(long_lease_storm: Storm, chance: random.Random) -> None:
    stack = long_lease_storm.running.stack

    def ask_to_stop(name: str) -> None:
        pid = stack.pid(name)
        stack.send(name, signal.SIGTERM)
        long_lease_storm.running.until(lambda: stack.pid(name) != pid)

    job_ids = long_lease_storm.submit()

    long_lease_storm.ride_out(
        [
            (turn * BURST_SECONDS / 3 + chance.random(), functools.partial(ask_to_stop, name))
            for turn in range(3)
            for name in WORKERS
        ]
    )

    assert long_lease_storm.damage(job_ids) == []
    assert set(long_lease_storm.attempts(job_ids)) == {1}


def test_audit_finds_nothing_while_workers_run_and_die(
    storm_stack: Storm, chance: random.Random
) -> None:
    found: list[consistency.Finding] = []
    looks = [
        (BURST_SECONDS * part / 8, lambda: found.extend(findings(storm_stack))) for part in range(8)
    ]
    kill = storm_stack.running.stack.kill
    job_ids = storm_stack.submit()

    storm_stack.ride_out([*looks, (chance.uniform(0, BURST_SECONDS), lambda: kill(WORKERS[0]))])

    assert storm_stack.damage(job_ids) == []
    assert [*found, *findings(storm_stack)] == []


def findings(storm: Storm) -> list[consistency.Finding]:
    bench = storm.bench
    with bench.transaction() as connection:
        rows = consistency.check_rows(connection, most=10)
    return [*rows, *consistency.check_objects(bench.engine, bench.store, most=10)]
