"""A job about to be written, and the rows of its stages."""

import datetime as dt
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from smart_filter_shared.ids import BatchId, Capability, JobId, Tenant
from smart_filter_shared.jobs import fairness
from smart_filter_shared.jobs.fairness import Place
from smart_filter_shared.jobs.models import Plan
from smart_filter_shared.jobs.retention import Keeping
from smart_filter_shared.jobs.states import StageState
from smart_filter_shared.jobs.uploads import Named
from smart_filter_shared.pipeline import PIPELINE, Stage, StageName, needs_within
from smart_filter_shared.recipe import Recipe, stages


@dataclass(frozen=True, slots=True)
class Membership:
    """Of which batch a job is which item, 0 the first; whether it is ranked in it."""

    batch_id: BatchId
    index: int
    is_ranked: bool


@dataclass(frozen=True, slots=True)
class Submission:
    """A job about to be written.

    plans: what runs each of its stages.  webhook_url: who is told of its end beside webhooks.
    megapixels: of the photo, by its header; 0 until it is known.
    photo_key, photo_digest: None for a photo that `prepare` has to bring, from photo_url or upload.
    works: what its stages are asked, and sources: which earlier job has done so (memory.py).
    parent_id: the job that it was derived from.  borrows: objects of other jobs that it needs.
    corrections: what people say is right (corrections.py).
    degraded: what it was given up for its deadline.  foreseen: in how many seconds half of such
    jobs, and nine tenths, will have ended; None when nothing is to be learnt from it.
    """

    job_id: JobId
    tenant: Tenant
    recipe: Recipe
    seed: int
    place: Place
    photo_key: str | None
    photo_digest: str | None
    background_key: str | None
    keeping: Keeping
    plans: Mapping[StageName, Plan]
    webhook_url: str | None = None
    megapixels: float = 0.0
    photo_url: str | None = None
    upload: Named | None = None
    works: Mapping[StageName, str] = field(default_factory=dict)
    sources: Mapping[StageName, JobId] = field(default_factory=dict)
    parent_id: JobId | None = None
    borrows: tuple[str, ...] = ()
    corrections: tuple[Mapping[str, object], ...] = ()
    degraded: tuple[str, ...] = ()
    foreseen: tuple[float, float] | None = None
    membership: Membership | None = None

    @property
    def album(self) -> BatchId | None:
        """The batch that it is ranked in."""
        member = self.membership
        return member.batch_id if member is not None and member.is_ranked else None


@dataclass(frozen=True, slots=True)
class Submitted:
    """What was written of a job: when, the rows of its stages; and what to ring for it."""

    created_at: dt.datetime
    stages: Sequence[Mapping[str, Any]]
    ringing: list[Capability]


@dataclass(frozen=True, slots=True)
class Gap:
    """An item that was refused at the door; error: as a failed job has it."""

    index: int
    error: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class BatchSubmission:
    """A batch about to be written.

    best: of an album, how many are composed.  webhook_url: who is told of its end beside webhooks.
    """

    batch_id: BatchId
    tenant: Tenant
    best: int | None
    webhook_url: str | None
    jobs: Sequence[Submission]
    gaps: Sequence[Gap]


def stage_rows(
    submission: Submission, taken: Collection[StageName] = ()
) -> list[dict[str, object]]:
    """Return the rows of the stages that a job runs, as `submit` writes them.

    taken: those that it takes over from other jobs.
    """
    recipe = submission.recipe
    running = [stage for stage in stages(recipe) if stage not in taken]
    return [
        {
            "job_id": submission.job_id,
            "stage": str(stage.name),
            "capability": submission.plans[stage.name].capability,
            "models": submission.plans[stage.name].models,
            "parameters": submission.plans[stage.name].parameters,
            "digests": submission.plans[stage.name].digests,
            "shadows": {
                task: shadow.digest
                for task, shadow in submission.plans[stage.name].shadows.items()
                if shadow.follows(submission.job_id)
            },
            "batch_key": _first_batch_key(submission, stage.name),
            "work": submission.works.get(stage.name),
            # In an album the picture waits for the ranking too.
            "open_needs": len(needs_within(stage, running))
            + (submission.album is not None and stage.name == StageName.COMPOSITE),
            "state": str(_first_state(stage, recipe, running)),
            "not_before": None if needs_within(stage, running) else recipe.run_at,
            "rank": fairness.rank(submission.place, recipe.priority),
            "album": submission.album,
            "head_start": fairness.HEAD_START_SECONDS[recipe.priority],
        }
        for stage in PIPELINE
        if stage.name in running
    ]


def batch_key(plan: Plan) -> str:
    """Return what rows must share to share a forward pass."""
    # As before there were trained weights when there are none.
    weights = [plan.digests] if plan.digests else []
    return json.dumps([plan.models, plan.parameters, *weights], sort_keys=True)


def _first_batch_key(submission: Submission, stage: StageName) -> str:
    key = batch_key(submission.plans[stage])
    # Whoever waits for a server elsewhere waits alone.
    alone = submission.photo_url is not None and stage == StageName.PREPARE
    return f"{key} {submission.job_id}" if alone else key


def _first_state(stage: Stage, recipe: Recipe, running: Collection[StageName]) -> StageState:
    waits = bool(needs_within(stage, running)) or recipe.run_at is not None
    return StageState.WAITING if waits else StageState.READY
