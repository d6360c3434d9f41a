"""What a tenant's jobs have made of a photo before: the same photo, the same work, once.

A stage's **work** is what its result depends on but the photo: models and their weights, what
was set for them, what of the recipe it reads, and the work of the stages that it needs. The
memory is the stages' rows themselves: those of the tenant's latest jobs with the same photo that
have succeeded, and whose artifacts are there. So it forgets with retention and with DELETE by
itself. `composite` is never remembered: it alone uses the seed and other people's pictures.
"""

import datetime as dt
import hashlib
import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, text

from smart_filter_shared.cards import TaskName
from smart_filter_shared.db import days
from smart_filter_shared.ids import JobId, Tenant
from smart_filter_shared.jobs import sharing
from smart_filter_shared.jobs.models import Plan
from smart_filter_shared.jobs.published import Published
from smart_filter_shared.jobs.retention import Keeping
from smart_filter_shared.pipeline import PIPELINE, StageName, needs_within
from smart_filter_shared.recipe import Output, Recipe, persons_text

# One more whenever a stage's own code makes something else of the same models.
_GENERATION: Final = 2
# What a photo that is submitted for ever costs a look: so many of its latest jobs are read.
_LATEST_JOBS: Final = 32

Result = Mapping[str, Any]  # what a stage stored, as JSON of any shape

# Compared as rows, which is the same, the order can be had of `jobs_by_photo` alone: of two
# constants and an id the planner reads all jobs by their ids when it thinks the photo a common one.
# The bound is a constant of a day, so that the planner leaves out the partitions before it.
_BEFORE = """
    SELECT id FROM jobs
    WHERE (tenant, photo_digest) >= (CAST(:tenant AS text), CAST(:digest AS text))
        AND (tenant, photo_digest) <= (CAST(:tenant AS text), CAST(:digest AS text))
        AND id >= '{since}'
    ORDER BY tenant DESC, photo_digest DESC, id DESC LIMIT :most
"""
_LOOK = text("""
    SELECT DISTINCT ON (stage) stages.stage, stages.job_id
    FROM stages JOIN unnest(CAST(:stages AS text[]), CAST(:works AS text[])) AS wanted (stage, work)
        USING (stage, work)
    WHERE stages.job_id = ANY(:before) AND stages.state = 'succeeded' AND result IS NOT NULL
    ORDER BY stage, job_id IS NOT DISTINCT FROM CAST(:parent AS uuid) DESC, job_id DESC
""")
_RESULTS = text("""
    SELECT stages.stage, stages.result
    FROM stages JOIN unnest(
        CAST(:job_ids AS uuid[]), CAST(:stages AS text[])
    ) AS made (job_id, stage) USING (job_id, stage)
    WHERE stages.job_id = ANY(:job_ids)
        AND stages.state = 'succeeded' AND stages.result IS NOT NULL
""")


def works(
    recipe: Recipe, plans: Mapping[StageName, Plan], known: Sequence[Published]
) -> dict[StageName, str]:
    """Return the work of each stage that can be remembered, as a digest in lower-case hex.

    plans: what runs each stage.  known: every model published.
    """
    models = {(one.card.task, one.card.name): one for one in known}
    found: dict[StageName, str] = {}
    for stage in PIPELINE:
        if stage.name not in plans or stage.name == StageName.COMPOSITE:
            continue
        plan = plans[stage.name]
        reads = _READS.get(stage.name)
        asked = {
            "generation": _GENERATION,
            "stage": stage.name,
            "models": {task: _versions(models, task, name) for task, name in plan.models.items()},
            "parameters": plan.parameters,
            "recipe": None if reads is None else reads(recipe),
            "needs": [found[need] for need in needs_within(stage, plans)],
        }
        text_ = json.dumps(asked, sort_keys=True, default=str)
        found[stage.name] = hashlib.sha256(text_.encode()).hexdigest()
    return found


def kept_since(keeping: Keeping) -> uuid.UUID:
    """Return the least id of the jobs whose artifacts a tenant may still have.

    Artifacts are kept from when they are made, which may be a day after the job was submitted.
    """
    kept = dt.timedelta(seconds=max(keeping.input_seconds, keeping.result_seconds), days=1)
    return days.first_id((dt.datetime.now(dt.UTC) - kept).date())


def look(
    connection: Connection,
    tenant: Tenant,
    digest: str | None,
    wanted: Mapping[StageName, str],
    *,
    running: Mapping[StageName, Plan],
    since: uuid.UUID,
    parent: JobId | None = None,
) -> dict[StageName, JobId]:
    """Return which earlier job has each stage that a new one need not run.

    digest: of the photo, None while nobody knows it.  wanted: the works of its stages.
    since: as `kept_since` returns it.
    parent: a job of the tenant's that is looked at first.  The last stage of a job always runs,
    so that every job ends as all do.
    """
    where = {"tenant": tenant, "digest": digest, "most": _LATEST_JOBS}
    latest = text(_BEFORE.format(since=since))
    before = [] if digest is None else list(connection.execute(latest, where).scalars())
    before += [] if parent is None else [parent]
    if not before:  # as of most photos that come
        return {}
    rows = connection.execute(
        _LOOK,
        {
            "before": before,
            "parent": parent,
            "stages": [str(stage) for stage in wanted],
            "works": list(wanted.values()),
        },
    )
    found = {StageName(row.stage): JobId(row.job_id) for row in rows}
    last = max(running, key=list(StageName).index)
    found.pop(last, None)
    return {stage: found[stage] for stage in _with_needs(found, running)}


def take(
    connection: Connection,
    tenant: Tenant,
    job_id: JobId,
    sources: Mapping[StageName, JobId],
    *,
    running: Mapping[StageName, Plan],
    keeping: Keeping,
) -> dict[StageName, Result]:
    """Return the results that a new job takes over, and let it borrow their artifacts.

    sources: as `look` found them; what has gone since is left out.
    """
    if not sources:
        return {}
    rows = connection.execute(
        _RESULTS,
        {
            "job_ids": list(sources.values()),
            "stages": [str(stage) for stage in sources],
        },
    )
    results: dict[StageName, Result] = {StageName(row.stage): row.result for row in rows}
    named = {stage: artifacts_of(result) for stage, result in results.items()}
    there = sharing.borrow(
        connection, tenant, job_id, [key for keys in named.values() for key in keys], keeping
    )
    whole = [stage for stage in results if named[stage] <= there]
    return {stage: results[stage] for stage in _with_needs(whole, running)}


def artifacts_of(result: Result | None) -> set[str]:
    """Return the keys of the artifacts that a stage's result names."""
    if result is None:
        return set()
    files = (file["key"] for file in result.get("files", {}).values())
    return {*result.get("arrays", {}).values(), *files}


def _with_needs(
    found: "Mapping[StageName, object] | Sequence[StageName]", running: Mapping[StageName, Plan]
) -> list[StageName]:
    """Return those whose needs are found too: what one of them reads may come from any."""
    whole: list[StageName] = []
    for stage in PIPELINE:
        if stage.name in found and all(need in whole for need in needs_within(stage, running)):
            whole.append(stage.name)
    return whole


def _versions(
    models: Mapping[tuple[TaskName, str], Published], task: TaskName, name: str
) -> list[object]:
    """Return what tells a model, and those that it may call, from their other versions."""
    model = models.get((task, name))
    if model is None:
        return [name]
    called: list[Published] = []
    if model.card.combines:
        others = (one for one in models.values() if one.card.task == task and one is not model)
        called = sorted(others, key=lambda one: one.card.name)
    return [_version(one) for one in (model, *called)]


def _version(model: Published) -> list[object]:
    card = model.card
    trained = [] if model.live is None else [model.live]
    return [card.name, card.version, [file.sha256 for file in card.weights], *trained]


def _read_by_segmentation(recipe: Recipe) -> list[object]:
    asked = {Output.DEBUG, Output.PERSONS} & set(recipe.outputs)
    return [
        recipe.framing.as_json()["roi"],
        persons_text(recipe.persons),
        recipe.require_person,
        sorted(asked),
    ]


# What of a recipe the stages read themselves; the others see pictures alone.
_READS: Final[Mapping[StageName, Callable[[Recipe], list[object]]]] = {
    StageName.SEGMENTATION: _read_by_segmentation,
}
