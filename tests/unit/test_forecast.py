"""When jobs will have ended, foreseen from queues, workers and paces: pure functions."""

import dataclasses
import random
from collections.abc import Sequence

import pytest

from smart_filter_shared.cards import ModelCard, TaskName
from smart_filter_shared.ids import Capability, Tenant
from smart_filter_shared.jobs import forecast as forecasts
from smart_filter_shared.jobs import foresight, guesses, paces
from smart_filter_shared.jobs.ahead import Ahead
from smart_filter_shared.jobs.forecast import Forecast, Outstanding, Step, seconds_of_jobs
from smart_filter_shared.jobs.foresight import Ended, Foresight
from smart_filter_shared.jobs.outlook import Arrivals, Outlook, Pool, Queue, Work
from smart_filter_shared.jobs.paces import Pace, Timed
from smart_filter_shared.jobs.states import StageState
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.recipe import Priority

PREPARE, SEGMENTATION, FACE, SMILE, COMPOSITE = StageName
HERE, OTHER = Tenant("here"), Tenant("other")
SECONDS = {PREPARE: 1.0, SEGMENTATION: 4.0, FACE: 1.0, SMILE: 2.0, COMPOSITE: 3.0}
LONGEST_WAY = 1.0 + 4.0 + 3.0


def of(stage: StageName) -> Capability:
    return Capability(f"{stage}.x")


ALL = tuple(of(stage) for stage in StageName)
# Certain to a hundredth, so that half of the jobs take what is the mean.
CERTAIN = {of(stage): Pace(seconds, spread=0.01) for stage, seconds in SECONDS.items()}


def an_outlook(*ranks: float, threads: int = 2, **more: object) -> Outlook:
    """Return an outlook with whole jobs of these ranks, served by one pool of all stages."""
    queue = Queue(ranks, range(1, len(ranks) + 1))
    outlook = Outlook(
        pools=[Pool(frozenset(ALL), threads)],
        paces=CERTAIN,
        queues={of(PREPARE): queue} if ranks else {},
        waiting=[Work(of(PREPARE), rank, 1.0, ALL[1:]) for rank in ranks],
    )
    return dataclasses.replace(outlook, **more)  # type: ignore[arg-type]  # its fields


def a_job(rank: float = 10.0, **more: object) -> Outstanding:
    """Return a whole job that nobody has begun."""
    steps = [
        Step(stage, of(stage), StageState.READY if stage == PREPARE else StageState.WAITING)
        for stage in StageName
    ]
    job = Outstanding(HERE, Priority.STANDARD, rank, 1.0, steps)
    return dataclasses.replace(job, **more)  # type: ignore[arg-type]  # its fields


def forecast(outlook: Outlook, job: Outstanding, since: Sequence[Work] = ()) -> Forecast:
    """Foresee a job when others have come since the outlook was taken."""
    ahead = Ahead(outlook)
    for work in since:
        ahead.add(work)
    return forecasts.forecast(ahead, job)


def test_job_alone_takes_the_longest_way_through_its_stages() -> None:
    foreseen = forecast(an_outlook(), a_job())

    assert foreseen.p50_seconds == pytest.approx(LONGEST_WAY, rel=0.01)
    assert foreseen.p50_seconds < foreseen.p90_seconds < LONGEST_WAY * 1.1


def test_single_thread_runs_one_stage_after_the_other() -> None:
    foreseen = forecast(an_outlook(threads=1), a_job())

    assert foreseen.p50_seconds == pytest.approx(sum(SECONDS.values()), rel=0.01)


def test_jobs_of_lower_rank_go_first_and_others_do_not_count() -> None:
    foreseen = forecast(an_outlook(1.0, 2.0, 11.0, 12.0), a_job(rank=10.0))

    assert foreseen.position == 3
    ahead = 2 * sum(SECONDS.values()) / 2
    assert foreseen.p50_seconds == pytest.approx(ahead + LONGEST_WAY, rel=0.02)


def test_more_threads_are_done_sooner() -> None:
    ranks = [float(rank) for rank in range(8)]

    few, many = (forecast(an_outlook(*ranks, threads=count), a_job()) for count in (2, 8))

    assert many.position == few.position
    assert many.p50_seconds < few.p50_seconds / 2


def test_work_of_others_counts_only_where_threads_are_shared() -> None:
    apart = [Pool(frozenset([capability]), 2) for capability in ALL]
    faces = {of(FACE): Queue([1.0], [1])}
    work = [Work(of(FACE), 1.0, 1.0, (of(SMILE),))]
    keep = a_job(steps=[Step(COMPOSITE, of(COMPOSITE), StageState.READY)])

    together = forecast(an_outlook(queues=faces, waiting=work), keep)
    alone = forecast(an_outlook(queues=faces, waiting=work, pools=apart), keep)

    assert alone.p50_seconds == pytest.approx(SECONDS[COMPOSITE], rel=0.01)
    assert together.p50_seconds == pytest.approx(SECONDS[COMPOSITE] + 1.5, rel=0.02)


def test_slowest_pool_is_what_holds_up() -> None:
    apart = [Pool(frozenset([capability]), 1) for capability in ALL]
    ranks = [1.0, 2.0, 3.0]

    foreseen = forecast(an_outlook(*ranks, pools=apart), a_job())

    assert foreseen.p50_seconds == pytest.approx(3 * SECONDS[SEGMENTATION] + LONGEST_WAY, rel=0.02)


def test_job_that_is_worked_on_stands_in_no_queue() -> None:
    steps = [Step(COMPOSITE, of(COMPOSITE), StageState.RUNNING)]

    foreseen = forecast(an_outlook(1.0, 2.0), a_job(steps=steps))

    assert foreseen.position == 0


def test_what_runs_now_holds_up_until_it_ends() -> None:
    busy = [Work(of(SEGMENTATION), 50.0, 1.0), Work(of(SEGMENTATION), 60.0, 1.0)]
    steps = [Step(COMPOSITE, of(COMPOSITE), StageState.READY)]
    job = a_job(steps=steps)

    held_up = forecast(an_outlook(running=busy), job)
    not_held_up = forecast(an_outlook(running=busy[:1]), job)

    assert not_held_up.p50_seconds == pytest.approx(SECONDS[COMPOSITE], rel=0.01)
    assert held_up.p90_seconds > not_held_up.p90_seconds + 2


def test_job_that_may_run_later_ends_later() -> None:
    queued = an_outlook(1.0, 2.0)

    soon, late = (
        forecast(queued, a_job(starts_in_seconds=seconds)).p50_seconds for seconds in (5, 1000)
    )

    assert soon == pytest.approx(forecast(queued, a_job()).p50_seconds, rel=0.02)
    assert late == pytest.approx(1000 + LONGEST_WAY, rel=0.01)


def test_jobs_accepted_since_the_outlook_count_too() -> None:
    since = [Work(of(PREPARE), rank, 1.0, ALL[1:]) for rank in (9.0, 11.0)]

    foreseen = forecast(an_outlook(1.0), a_job(), since)

    assert foreseen == forecast(an_outlook(1.0, 9.0), a_job())


def test_jobs_count_whether_they_came_before_or_after_somebody_asked() -> None:
    ahead = Ahead(an_outlook(1.0))
    before = forecasts.forecast(ahead, a_job())

    ahead.add(Work(of(PREPARE), 9.0, 1.0, ALL[1:]))

    assert before.position == 2
    assert forecasts.forecast(ahead, a_job()) == forecast(an_outlook(1.0, 9.0), a_job())


def test_what_overtakes_stretches_the_wait_of_who_lets_it_pass() -> None:
    rates = dict.fromkeys(ALL, 0.1)
    coming = [Arrivals(OTHER, Priority.STANDARD, rates)]
    quiet = an_outlook(1.0, 2.0, 3.0, threads=4)
    lively = dataclasses.replace(quiet, arrivals=coming)
    batch = a_job(rank=600.0, priority=Priority.BATCH)

    assert forecast(lively, batch).p50_seconds > 1.1 * forecast(quiet, batch).p50_seconds
    assert forecast(lively, batch).p90_seconds > 1.5 * forecast(quiet, batch).p90_seconds
    urgent = a_job(rank=-60.0, priority=Priority.INTERACTIVE)
    assert forecast(lively, urgent) == forecast(quiet, urgent)


def test_tenants_own_later_jobs_do_not_overtake_but_urgent_ones() -> None:
    rates = dict.fromkeys(ALL, 0.1)

    def with_own(priority: Priority) -> Forecast:
        coming = [Arrivals(HERE, priority, rates)]
        return forecast(an_outlook(1.0, 2.0, threads=4, arrivals=coming), a_job())

    assert with_own(Priority.STANDARD).p50_seconds == with_own(Priority.BATCH).p50_seconds
    assert with_own(Priority.INTERACTIVE).p50_seconds > with_own(Priority.STANDARD).p50_seconds


def test_larger_photos_take_longer_by_their_measured_share() -> None:
    sizes = {**CERTAIN, of(COMPOSITE): Pace(1.0, 2.0, usual_megapixels=1.0, spread=0.01)}
    steps = [Step(COMPOSITE, of(COMPOSITE), StageState.READY)]

    large = forecast(an_outlook(paces=sizes), a_job(steps=steps, megapixels=12.0))

    assert large.p50_seconds == pytest.approx(25.0, rel=0.01)


def test_where_nobody_works_something_is_told_all_the_same() -> None:
    foreseen = forecast(Outlook(queues={of(PREPARE): Queue([1.0], [1])}), a_job())

    assert foreseen.position == 2
    assert 0 < foreseen.p50_seconds < foreseen.p90_seconds


def test_position_is_exact_at_the_head_and_at_least_so_far_behind_it() -> None:
    queue = Queue([0.0, 1.0, 2.0, 100.0, 200.0], [1, 2, 3, 103, 203])

    assert [queue.ahead(rank) for rank in (0, 0.5, 2, 3, 100.5, 1e9)] == [0, 1, 2, 3, 103, 203]


def test_room_comes_as_fast_as_jobs_end() -> None:
    ranks = [float(rank) for rank in range(10)]

    assert seconds_of_jobs(an_outlook(*ranks), 4) == pytest.approx(4 * 11 / 2)
    assert seconds_of_jobs(an_outlook(), 4) is None


def test_pace_finds_what_a_megapixel_takes() -> None:
    chance = random.Random(3)
    runs = [
        Timed.once(0.2 + 0.1 * size + chance.uniform(-0.01, 0.01), size)
        for size in [chance.choice([0.5, 1.0, 12.0]) for _ in range(200)]
    ]
    total = sum(runs[1:], start=runs[0])

    pace = paces.fitted(
        Timed(
            200, *(getattr(total, one) / 200 for one in Timed.__dataclass_fields__ if one != "runs")
        )
    )

    assert pace.seconds == pytest.approx(0.2, abs=0.02)
    assert pace.seconds_per_megapixel == pytest.approx(0.1, abs=0.01)
    assert pace.spread < 0.2


def test_pace_of_one_size_has_no_line_and_of_few_runs_some_doubt() -> None:
    once = paces.fitted(Timed.once(2.0, 1.0))

    assert (once.seconds, once.seconds_per_megapixel) == (2.0, 0.0)
    assert once.spread > 0.5


def test_model_that_never_ran_is_guessed_by_its_card_beside_the_usual() -> None:
    usual, light, unknown = (
        ModelCard(
            name=name,
            version="1",
            task=TaskName.SEGMENTATION,
            family=name,
            title="",
            source="",
            licence="",
            data_terms="",
            default=name == "usual",
            speed={} if cost is None else {"cpu_ms": cost},
        )
        for name, cost in (("usual", 80.0), ("light", 20.0), ("unknown", None))
    )
    measured = {usual.capability: Pace(4.0, 0.4, 1.0, 0.3)}

    known = guesses.completed(measured, [usual, light, unknown])

    assert known[light.capability] == Pace(1.0, 0.1, 1.0, 0.3)
    assert known[usual.capability] == measured[usual.capability]
    assert unknown.capability not in known


@pytest.mark.parametrize("scale", [0.3, 1.0, 4.0])
def test_forecasts_come_right_however_wrong_they_begin(scale: float) -> None:
    chance = random.Random(5)
    known = Foresight()
    in_time = {0.5: 0, 0.9: 0}
    for number in range(1200):
        p50, p90 = known.corrected(1.0, 2.0)
        seconds = scale * chance.lognormvariate(0, 0.5)
        if number >= 400:
            in_time[0.5] += seconds <= p50
            in_time[0.9] += seconds <= p90
        known = known.after(Ended(1.0, 2.0, seconds))

    assert in_time[0.5] / 800 == pytest.approx(0.5, abs=0.05)
    assert in_time[0.9] / 800 == pytest.approx(0.9, abs=0.03)


def test_priorities_learn_apart() -> None:
    late = (Priority.BATCH, Ended(1.0, 2.0, 100.0))

    known = foresight.after({}, [late] * 3)

    assert set(known) == {Priority.BATCH}
    assert known[Priority.BATCH].jobs == 3
    assert known[Priority.BATCH].p90_log > 0


def test_correction_moves_forecasts_of_its_priority() -> None:
    learnt = {Priority.STANDARD: Foresight(9, 0.5, 1.0)}

    plain, moved = forecast(an_outlook(), a_job()), forecast(an_outlook(foresight=learnt), a_job())

    assert moved.p50_seconds == pytest.approx(plain.p50_seconds * 1.6487, rel=0.001)
    assert moved.p90_seconds == pytest.approx(plain.p90_seconds * 2.7183, rel=0.001)
    assert (moved.raw_p50, moved.raw_p90) == (plain.raw_p50, plain.raw_p90)
