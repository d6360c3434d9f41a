"""What is known of a job that was just written is what is read of it afterwards."""

import dataclasses
import datetime as dt

from smart_filter_shared.cards import LEADING_TASK, TaskName
from smart_filter_shared.ids import new_batch_id, new_job_id, new_upload_id
from smart_filter_shared.jobs import queries, transitions
from smart_filter_shared.jobs.fairness import Place
from smart_filter_shared.jobs.models import Plan
from smart_filter_shared.jobs.retention import Keeping
from smart_filter_shared.jobs.submission import Membership, Submission
from smart_filter_shared.jobs.uploads import Named
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.recipe import Filter, Priority, Recipe, stages
from smart_filter_tests.bench import TENANT, Bench, capability

PREPARE, SEGMENTATION, FACE, SMILE, COMPOSITE = StageName
TOMORROW = dt.datetime.now(dt.UTC) + dt.timedelta(days=1)


def a_submission(recipe: Recipe) -> Submission:
    job_id = new_job_id()
    return Submission(
        job_id=job_id,
        tenant=TENANT,
        recipe=recipe,
        seed=2**53 - 1,
        place=Place(1 / 3, 0.1),
        photo_key=f"{TENANT}/{job_id}",
        photo_digest="ab" * 32,
        background_key=f"{TENANT}/{job_id}/background",
        keeping=Keeping(3600.5, 7200.25),
        plans={
            stage: Plan(
                capability(stage),
                {LEADING_TASK[stage]: "bench"},
                {TaskName.SEGMENTATION: {"threshold": 0.1}},
            )
            for stage in stages(recipe)
        },
        megapixels=1.048576,
    )


def assert_read_as_written(bench: Bench, submission: Submission) -> None:
    with bench.transaction() as connection:
        written = transitions.submit(connection, submission)
        known = queries.submitted(submission, written)
        assert known == queries.find(connection, submission.job_id, TENANT)


def test_job_with_everything_is_read_as_it_was_written(bench: Bench) -> None:
    recipe = Recipe(
        priority=Priority.INTERACTIVE,
        run_at=TOMORROW,
        deadline_ms=1001,
        filters=(Filter("glasses"),),
        params={TaskName.SEGMENTATION: {"threshold": 0.1}},
        metadata={"a name": 'Zoë "\\ \u2028 \U0001f600'},
    )
    submission = dataclasses.replace(
        a_submission(recipe),
        photo_url="https://example.org/photo.jpg",
        webhook_url="https://example.org/hook",
        upload=Named(new_upload_id(), '"etag"'),
        parent_id=new_job_id(),
        corrections=({"form": "label", "label": {"faces": []}},),
        degraded=("edge=fast", "a, b"),
        foreseen=(0.1, 0.2),
        membership=Membership(new_batch_id(), 3, is_ranked=True),
    )

    assert_read_as_written(bench, submission)


def test_deadline_counts_from_the_moment_of_submission(bench: Bench) -> None:
    submission = a_submission(Recipe(deadline_ms=1001))

    written = bench.do(transitions.submit, submission)

    ends_at = written.created_at + dt.timedelta(milliseconds=1001)
    assert {bench.row(submission.job_id, stage)["deadline_at"] for stage in submission.plans} == {
        ends_at
    }


def test_job_that_takes_stages_over_is_read_as_it_was_written(bench: Bench) -> None:
    earlier = bench.submit()
    bench.advance(PREPARE, SEGMENTATION)
    submission = dataclasses.replace(
        a_submission(Recipe()), sources={PREPARE: earlier, SEGMENTATION: earlier}
    )

    assert_read_as_written(bench, submission)
    assert bench.row(submission.job_id, SEGMENTATION)["state"] == "succeeded"
    assert bench.row(submission.job_id, SEGMENTATION)["finished_at"] is not None
    assert bench.row(submission.job_id, FACE)["state"] == "ready"
