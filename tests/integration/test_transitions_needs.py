"""How stages become ready: by their needs, each met once."""

from sqlalchemy import event, text

from smart_filter_shared.jobs.states import JobState
from smart_filter_tests import races
from smart_filter_tests.bench import Bench, capability
from smart_filter_tests.worlds import COMPOSITE, FACE, KEEP_BACKGROUND, PREPARE, SEGMENTATION, SMILE


def test_new_job_waits_for_nothing_but_its_first_stage(bench: Bench) -> None:
    job_id = bench.submit()

    assert bench.job(job_id).state == JobState.QUEUED
    assert bench.states(job_id) == {
        "prepare": "ready",
        "segmentation": "waiting",
        "face": "waiting",
        "smile": "waiting",
        "composite": "waiting",
    }


def test_job_runs_only_stages_that_yield_what_was_asked(bench: Bench) -> None:
    job_id = bench.submit(KEEP_BACKGROUND)

    bench.advance(PREPARE, COMPOSITE)

    assert bench.states(job_id) == {"prepare": "succeeded", "composite": "succeeded"}
    assert bench.job(job_id).state == JobState.SUCCEEDED


def test_stage_is_ready_when_the_last_of_its_needs_succeeds(bench: Bench) -> None:
    job_id = bench.submit()
    bench.advance(PREPARE, FACE, SMILE)
    assert bench.states(job_id)["composite"] == "waiting"

    completion = bench.complete(bench.claim_one(SEGMENTATION))

    assert completion.ready == [capability(COMPOSITE)]
    assert bench.states(job_id)["composite"] == "ready"


def test_needs_completed_at_the_same_time_wake_their_dependent_once(bench: Bench) -> None:
    job_id = bench.submit()
    bench.advance(PREPARE, FACE)
    leases = [bench.claim_one(SEGMENTATION), bench.claim_one(SMILE)]

    completions = races.at_once([lambda lease=lease: bench.complete(lease) for lease in leases])

    woken = [ready for completion in completions for ready in completion.ready]
    assert woken == [capability(COMPOSITE)]
    assert bench.row(job_id, COMPOSITE)["open_needs"] == 0


def test_completion_repeated_meets_no_need_twice(bench: Bench) -> None:
    job_id = bench.submit()
    bench.advance(PREPARE)
    lease = bench.claim_one(SEGMENTATION)
    bench.complete(lease)

    again = bench.complete(lease)

    assert again.lost == [lease]
    assert bench.row(job_id, COMPOSITE)["open_needs"] == 1


def test_completion_of_a_batch_writes_its_artifacts_at_once(bench: Bench) -> None:
    jobs = [bench.submit() for _ in range(4)]
    leases = bench.claim(PREPARE, batch_size=4)
    written: list[str] = []

    def note(_: object, __: object, statement: str, *_more: object) -> None:
        written.extend(["artifacts"] if "INSERT INTO artifacts" in statement else [])

    event.listen(bench.engine, "before_cursor_execute", note)
    bench.complete(*leases)
    event.remove(bench.engine, "before_cursor_execute", note)

    assert written == ["artifacts"]
    with bench.transaction() as connection:
        kept = connection.execute(text("SELECT job_id FROM artifacts WHERE kind = 'result'"))
        assert {row.job_id for row in kept} == set(jobs)
