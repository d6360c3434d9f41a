"""The result cache per tenant: a stage is not run twice for the same photo and cache key.

A stage's cache key (column `work`) covers everything but the photo that its result depends on:
models and their weights, parameters, the recipe fields it reads, and the keys of the stages it
needs. The cache has no storage of its own: it is the succeeded stages of the tenant's latest jobs
with the same photo whose artifacts still exist. Retention and DELETE therefore also clear it.
A job whose results are all reused ends when it is submitted.
"""

import functools
import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any, Final

from sqlalchemy import Connection, text

from smart_filter_shared.artifacts import references
from smart_filter_shared.feedback.face_changes import FaceChanges
from smart_filter_shared.ids import JobId, Tenant
from smart_filter_shared.model_registry.published_models import PublishedModel
from smart_filter_shared.model_registry.stage_plan import StagePlan
from smart_filter_shared.pipeline import PIPELINE, StageName, TaskName, needs_within
from smart_filter_shared.recipe import (
    SUBJECT_MATCHED_KINDS,
    BackgroundKind,
    Output,
    Recipe,
    Subject,
)
from smart_filter_shared.recipe.recipe import declared_fields
from smart_filter_shared.stock import Picture

# Part of every key. Increase it when a stage's code gives other results with the same models.
_CACHE_VERSION: Final = 4
# Read at most this many of the photo's latest jobs.
_LATEST_JOBS: Final = 32
# Backgrounds that are the same for every seed, and those whose pixels the key does not cover.
_UNSEEDED_KINDS: Final = {BackgroundKind.KEEP, BackgroundKind.TRANSPARENT, BackgroundKind.COLOR}
_OUTSIDE_KINDS: Final = {BackgroundKind.FILE, BackgroundKind.URL}

Result = Mapping[str, Any]  # what a stage stored, as JSON of any shape

# Row-wise comparison (equivalent to two equalities) lets `jobs_by_photo` satisfy ORDER BY. With
# plain equalities the planner scans the primary key when it believes the digest is common.
# A job with `keep_nothing` lends nothing: its objects go when its outputs have been downloaded.
# A photo in its last minute is not lent: it must still be there when the new job is written.
_LOOKUP = text("""
    SELECT found.stage, found.result, (
        SELECT artifacts.key
        FROM jobs JOIN artifacts
            ON artifacts.tenant = jobs.tenant AND artifacts.key = jobs.photo_key
        WHERE found.stage = 'prepare' AND jobs.id = found.job_id
            AND artifacts.marked_at IS NULL AND artifacts.held_since IS NULL
            AND artifacts.expires_at > statement_timestamp() + interval '1 minute'
    ) AS photo_key
    FROM (
        SELECT DISTINCT ON (stage) stages.stage, stages.job_id, stages.result
        FROM all_stages AS stages JOIN unnest(
            CAST(:stages AS text[]), CAST(:cache_keys AS text[])
        ) AS wanted (stage, work) USING (stage, work)
        WHERE stages.job_id = ANY(ARRAY(
            SELECT id FROM jobs
            WHERE (tenant, left(photo_digest, 16)) >= (CAST(:tenant AS text), left(:digest, 16))
                AND (tenant, left(photo_digest, 16)) <= (CAST(:tenant AS text), left(:digest, 16))
                AND photo_digest = CAST(:digest AS text)
                AND NOT keep_nothing
            ORDER BY tenant DESC, left(photo_digest, 16) DESC, id DESC LIMIT :most
        ) || CAST(:parent AS uuid))
            AND stages.state = 'succeeded' AND result IS NOT NULL
        ORDER BY stage, job_id IS NOT DISTINCT FROM CAST(:parent AS uuid) DESC, job_id DESC
    ) AS found
""")
# The jobs that name an object.
_NAMED = text("""
    SELECT job_id FROM artifacts WHERE tenant = :tenant AND key = :key
    UNION SELECT job_id FROM borrowers WHERE tenant = :tenant AND key = :key
""")
# The artifacts stay: what is missing may come back, such as from a backup of the store.
_STOP_SHARING = text("""
    WITH locked AS MATERIALIZED (
        SELECT id FROM jobs WHERE id = ANY(CAST(:jobs AS uuid[])) ORDER BY id FOR NO KEY UPDATE
    ), kept AS (
        UPDATE ended_stages SET stages = (
            SELECT array_agg(jsonb_populate_record(kept_stage, '{"work": null}'))
            FROM unnest(stages) AS kept_stage
        )
        FROM locked WHERE job_id = locked.id
    ), cached AS MATERIALIZED (
        SELECT job_id, stage FROM stages
        WHERE job_id = ANY(ARRAY(SELECT id FROM locked)) AND work IS NOT NULL
        ORDER BY job_id, stage
        FOR UPDATE
    )
    UPDATE stages SET work = NULL FROM cached
    WHERE stages.job_id = cached.job_id AND stages.stage = cached.stage
""")


@dataclass(frozen=True, slots=True)
class CacheHits:
    """The results and the photo that a new job can reuse.

    results: of earlier jobs, by the stages that need not run again.
    photo_key: the same photo in one of them, which it can borrow; None if there is none.
    """

    results: Mapping[StageName, Result] = field(default_factory=dict)
    photo_key: str | None = None


def cache_keys(
    recipe: Recipe,
    plans: Mapping[StageName, StagePlan],
    published: Sequence[PublishedModel],
    pictures: Sequence[Picture],
    face_changes: FaceChanges | None = None,
) -> dict[StageName, str]:
    """Return the cache key of each stage that can be cached, as a SHA-256 in lower-case hex.

    plans: the models and parameters of each stage.  published: every published model.
    pictures: the picture backgrounds that the tenant may use.
    face_changes: those that users made of the faces.
    """
    models = {(model.card.task, model.card.name): model for model in published}
    keys_by_stage: dict[StageName, str] = {}
    for stage in PIPELINE:
        if stage.name not in plans:
            continue
        if stage.name == StageName.COMPOSITE and not _is_picture_determined(recipe):
            continue
        plan = plans[stage.name]
        asked = {
            "generation": _CACHE_VERSION,
            "stage": stage.name,
            "models": {task: _versions(models, task, name) for task, name in plan.models.items()},
            "parameters": plan.parameters,
            "recipe": face_changes.as_json()
            if stage.name == StageName.FACE and face_changes
            else _recipe_inputs(stage.name, recipe, published, pictures),
            "needs": [keys_by_stage[need] for need in needs_within(stage, plans)],
        }
        text_ = json.dumps(asked, sort_keys=True, default=str)
        keys_by_stage[stage.name] = hashlib.sha256(text_.encode()).hexdigest()
    return keys_by_stage


def lookup(
    connection: Connection,
    tenant: Tenant,
    digest: str | None,
    wanted: Mapping[StageName, str],
    *,
    running: Mapping[StageName, StagePlan],
    parent: JobId | None = None,
) -> CacheHits:
    """Return the results of earlier jobs that a new job can reuse.

    digest: of the photo, None while it is unknown.  wanted: the cache keys of the job's stages.
    parent: a job of the same tenant whose results are preferred.
    """
    if digest is None and parent is None:
        return CacheHits()
    rows = connection.execute(
        _LOOKUP,
        {
            "tenant": tenant,
            "digest": digest,
            "most": _LATEST_JOBS,
            "parent": parent,
            "stages": [str(stage) for stage in wanted],
            "cache_keys": list(wanted.values()),
        },
    ).all()
    cached = {StageName(row.stage): row.result for row in rows}
    results = {stage: cached[stage] for stage in _keep_complete(cached, running)}
    photo_key = next((row.photo_key for row in rows if row.photo_key is not None), None)
    return CacheHits(results, photo_key if results else None)


def skipped_stages(
    cached: Collection[StageName], running: Mapping[StageName, StagePlan]
) -> set[StageName]:
    """Return the stages that need no place in a queue: the found ones, without the job's last.

    The job may have to run the last one after all: when a result has expired since, and when its
    own picture is not shared.
    """
    return set(cached) - {max(running, key=list(StageName).index)}


def stop_sharing(connection: Connection, tenant: Tenant, key: str) -> None:
    """Let no later job reuse results of the jobs that name an object; it is missing."""
    job_ids = connection.execute(_NAMED, {"tenant": tenant, "key": key}).scalars().all()
    connection.execute(_STOP_SHARING, {"jobs": job_ids})


def keep_usable(
    results: Mapping[StageName, Result],
    available: Collection[str],
    running: Mapping[StageName, StagePlan],
) -> dict[StageName, Result]:
    """Return the results that a job can reuse: all that they name and need is there.

    available: keys of the artifacts that the job has borrowed.
    """
    whole = [
        stage
        for stage, result in results.items()
        if references.artifact_keys(result) <= set(available)
    ]
    return {stage: results[stage] for stage in _keep_complete(whole, running)}


def _keep_complete(
    cached: "Mapping[StageName, object] | Sequence[StageName]",
    running: Mapping[StageName, StagePlan],
) -> list[StageName]:
    """Return the found stages whose needs are found too, because a stage may read any of them."""
    whole: list[StageName] = []
    for stage in PIPELINE:
        if stage.name in cached and all(need in whole for need in needs_within(stage, running)):
            whole.append(stage.name)
    return whole


def _versions(
    models: Mapping[tuple[TaskName, str], PublishedModel], task: TaskName, name: str
) -> list[object]:
    """Return the versions of a model and of the offered models that it may call."""
    model = models.get((task, name))
    if model is None:
        return [name]
    called: list[PublishedModel] = []
    if model.card.combines:
        others = (
            other
            for other in models.values()
            if other.card.task == task and other.offered and other is not model
        )
        called = sorted(others, key=lambda other: other.card.name)
    return [_version(other) for other in (model, *called)]


def _version(model: PublishedModel) -> list[object]:
    card = model.card
    trained = [] if model.live is None else [model.live]
    return [card.name, card.version, [file.sha256 for file in card.weights], *trained]


def _recipe_inputs(
    stage: StageName,
    recipe: Recipe,
    published: Sequence[PublishedModel],
    pictures: Sequence[Picture],
) -> list[object] | None:
    """Return what a stage reads of a recipe; None for a stage that reads only pictures."""
    match stage:
        case StageName.SEGMENTATION:
            return [*_segmentation_inputs(recipe), _fallback_models(recipe, published)]
        case StageName.COMPOSITE:
            return _composite_inputs(recipe, pictures)
        case _:
            return None


def _fallback_models(recipe: Recipe, published: Sequence[PublishedModel]) -> list[object]:
    """Return the versions of the models that may run instead on a photo without people."""
    if recipe.subject != Subject.AUTO:
        return []
    return [_version(model) for model in published if model.offered and model.card.without_people]


def _segmentation_inputs(recipe: Recipe) -> list[object]:
    asked = {Output.DEBUG, Output.PERSONS} & set(recipe.outputs)
    return [_read_by(StageName.SEGMENTATION, recipe), sorted(asked)]


def _read_by(stage: StageName, recipe: Recipe) -> dict[str, object]:
    """Return the values of the fields that a stage reads, as JSON."""
    declared = declared_fields()
    return {
        name: value
        for name, value in recipe.as_json().items()
        if stage in declared[name].declared.stages
    }


def _is_picture_determined(recipe: Recipe) -> bool:
    """Return whether `composite` gives the same picture whenever it runs.

    It does not with a random seed, or a background whose pixels are not known at submission.
    """
    is_outside = recipe.background.kind in _OUTSIDE_KINDS
    return not is_outside and not (_reads_seed(recipe) and recipe.seed is None)


def _reads_seed(recipe: Recipe) -> bool:
    return recipe.background.kind not in _UNSEEDED_KINDS or bool(recipe.filters)


def _composite_inputs(recipe: Recipe, pictures: Sequence[Picture]) -> list[object]:
    read = _read_by(StageName.COMPOSITE, recipe)
    chooses = recipe.background.kind in {*SUBJECT_MATCHED_KINDS, BackgroundKind.PRESET}
    seed = recipe.seed if _reads_seed(recipe) else None
    read["outputs"] = sorted(recipe.outputs)  # their order changes nothing
    # The code of this stage changes with most releases.
    drawn = [picture for picture in pictures if chooses or picture.preset.name == recipe.logo.name]
    # An operator may change a document's row and keep its name.
    return [_code_version(), read, seed, drawn, repr(recipe.framing.document)]


@functools.cache
def _code_version() -> str:
    # It reads a file, which took 2 % of the API's processor time for a job.
    return version("smart-filter")
