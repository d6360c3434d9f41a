import dataclasses
import random

import pytest

from smart_filter_shared.eta import estimate as estimates
from smart_filter_shared.eta import stage_times
from smart_filter_shared.eta.backlog import Backlog
from smart_filter_shared.eta.calibration import Calibration, Observation
from smart_filter_shared.eta.estimate import (
    CompletionEstimate,
    PendingJob,
    PendingStage,
    estimate_drain_seconds,
)
from smart_filter_shared.eta.snapshot import Pool, QueueSnapshot, ReadyQueue, SampledStage
from smart_filter_shared.eta.stage_times import Moments, StageTime
from smart_filter_shared.ids import Capability, Tenant
from smart_filter_shared.operations import stored_snapshot
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.priority import Priority
from smart_filter_shared.queue.states import StageState
from smart_filter_tests.stages import COMPOSITE, FACE, PREPARE, SEGMENTATION, SMILE

HERE = Tenant("here")
SECONDS = {PREPARE: 1.0, SEGMENTATION: 4.0, FACE: 1.0, SMILE: 2.0, COMPOSITE: 3.0}
LONGEST_WAY = 1.0 + 4.0 + 3.0


def capability_of(stage: StageName) -> Capability:
    return Capability(f"{stage}.x")


ALL = tuple(capability_of(stage) for stage in StageName)
# Known to a hundredth, so that the median of jobs is the mean.
CERTAIN = {
    capability_of(stage): StageTime(seconds, spread=0.01) for stage, seconds in SECONDS.items()
}


def a_snapshot(*ranks: float, threads: int = 2, **more: object) -> QueueSnapshot:
    """Return a snapshot with whole jobs of these ranks, served by one pool of all stages."""
    queue = ReadyQueue(ranks, list(range(1, len(ranks) + 1)))
    snapshot = QueueSnapshot(
        pools=[Pool(frozenset(ALL), threads)],
        paces=CERTAIN,
        queues={capability_of(PREPARE): queue} if ranks else {},
        waiting=[SampledStage(capability_of(PREPARE), rank, 1.0, ALL[1:]) for rank in ranks],
    )
    return dataclasses.replace(snapshot, **more)  # type: ignore[arg-type]  # its fields


def a_job(rank: float = 10.0, **more: object) -> PendingJob:
    steps = [
        PendingStage(
            stage,
            capability_of(stage),
            StageState.READY if stage == PREPARE else StageState.WAITING,
        )
        for stage in StageName
    ]
    job = PendingJob(HERE, Priority.STANDARD, rank, 1.0, steps)
    return dataclasses.replace(job, **more)  # type: ignore[arg-type]  # its fields


def estimate(snapshot: QueueSnapshot, job: PendingJob) -> CompletionEstimate:
    return estimates.estimate_completion(Backlog(snapshot), job)


APART = [Pool(frozenset([capability]), 1) for capability in ALL]
ONE_AFTER_ANOTHER = sum(SECONDS.values())


@pytest.mark.parametrize(
    ("snapshot", "position", "seconds"),
    [
        (a_snapshot(), 1, LONGEST_WAY),
        (a_snapshot(threads=1), 1, ONE_AFTER_ANOTHER),
        # Two jobs of lower rank go first, on two threads; the others do not count.
        (a_snapshot(1.0, 2.0, 11.0, 12.0), 3, ONE_AFTER_ANOTHER + LONGEST_WAY),
        # The slowest pool is the bottleneck.
        (a_snapshot(1.0, 2.0, 3.0, pools=APART), 4, 3 * SECONDS[SEGMENTATION] + LONGEST_WAY),
    ],
    ids=["alone", "one thread", "behind two", "a pool for each stage"],
)
def test_job_takes_the_longest_path_behind_those_before_it(
    snapshot: QueueSnapshot, position: int, seconds: float
) -> None:
    eta = estimate(snapshot, a_job(rank=10.0))

    assert eta.position == position
    assert eta.p50_seconds == pytest.approx(seconds, rel=0.02)
    assert eta.p50_seconds < eta.p90_seconds < seconds * 1.1


@pytest.mark.parametrize("asked_before", [False, True])
def test_jobs_accepted_since_the_snapshot_count_too(*, asked_before: bool) -> None:
    backlog = Backlog(a_snapshot(1.0))
    if asked_before:
        assert estimates.estimate_completion(backlog, a_job()) == estimate(a_snapshot(1.0), a_job())

    for rank in (9.0, 11.0):
        backlog.add(SampledStage(capability_of(PREPARE), rank, 1.0, ALL[1:]))

    assert estimates.estimate_completion(backlog, a_job()) == estimate(
        a_snapshot(1.0, 9.0), a_job()
    )


def test_work_of_the_snapshot_runs_down_while_it_ages() -> None:
    backlog = Backlog(a_snapshot(1.0, 2.0, threads=1))

    new, older = (
        estimates.estimate_completion(backlog, a_job(), elapsed_seconds=seconds)
        for seconds in (0.0, 1.0)
    )

    assert older.p50_seconds == pytest.approx(new.p50_seconds - 1.0, abs=0.05)
    assert older.position == new.position == 3


def test_snapshot_is_read_from_json_as_it_was_written() -> None:
    snapshot = a_snapshot(1.0, 2.0)

    read = stored_snapshot.decode(stored_snapshot.encode(snapshot))

    assert estimate(read, a_job()) == estimate(snapshot, a_job())
    assert read.pools == list(snapshot.pools)


def test_position_is_exact_near_the_head_and_a_minimum_further_back() -> None:
    queue = ReadyQueue([0.0, 1.0, 2.0, 100.0, 200.0], [1, 2, 3, 103, 203])

    assert [queue.ahead(rank) for rank in (0, 0.5, 2, 3, 100.5, 1e9)] == [0, 1, 2, 3, 103, 203]


def test_queue_room_appears_at_the_rate_of_ended_jobs() -> None:
    ranks = [float(rank) for rank in range(10)]

    assert estimate_drain_seconds(a_snapshot(*ranks), 4) == pytest.approx(4 * 11 / 2)
    assert estimate_drain_seconds(a_snapshot(), 4) is None


def test_pace_finds_the_seconds_of_a_megapixel() -> None:
    chance = random.Random(3)
    runs = [
        Moments.once(0.2 + 0.1 * size + chance.uniform(-0.01, 0.01), size)
        for size in [chance.choice([0.5, 1.0, 12.0]) for _ in range(200)]
    ]
    total = sum(runs[1:], start=runs[0])
    means = {
        name: value / 200 for name, value in dataclasses.asdict(total).items() if name != "runs"
    }

    pace = stage_times.fit_stage_time(Moments(200, **means))

    assert pace.seconds == pytest.approx(0.2, abs=0.02)
    assert pace.seconds_per_megapixel == pytest.approx(0.1, abs=0.01)
    assert pace.spread < 0.2


@pytest.mark.parametrize("scale", [0.3, 1.0, 4.0])
def test_wrong_first_estimates_converge(scale: float) -> None:
    chance = random.Random(5)
    known = Calibration()
    in_time = {0.5: 0, 0.9: 0}
    for number in range(1200):
        p50, p90 = known.corrected(1.0, 2.0)
        seconds = scale * chance.lognormvariate(0, 0.5)
        if number >= 400:
            in_time[0.5] += seconds <= p50
            in_time[0.9] += seconds <= p90
        known = known.after(Observation(1.0, 2.0, seconds))

    assert in_time[0.5] / 800 == pytest.approx(0.5, abs=0.05)
    assert in_time[0.9] / 800 == pytest.approx(0.9, abs=0.03)
