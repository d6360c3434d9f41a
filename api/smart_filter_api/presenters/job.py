"""Render jobs and batches as API answers.

The fields of a job are null until the stage that produces them has succeeded.
"""

import dataclasses
import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from smart_filter_api.auth.links import LinkTerms
from smart_filter_api.http.documents import render_as
from smart_filter_api.problems import catalog
from smart_filter_shared.albums import read_take
from smart_filter_shared.catalog import parameters
from smart_filter_shared.catalog.emotions import EMOTIONS, NOTICE
from smart_filter_shared.catalog.filters import FilterCard
from smart_filter_shared.catalog.model_card import ModelCard
from smart_filter_shared.eta.estimate import CompletionEstimate
from smart_filter_shared.feedback.face_changes import read_face_changes
from smart_filter_shared.ids import Capability
from smart_filter_shared.jobs.queries import JobRow, Json, StageRow
from smart_filter_shared.model_registry.published_models import PublishedModel
from smart_filter_shared.model_registry.weight_versions import VersionState, WeightVersion
from smart_filter_shared.pipeline import (
    COMPOSED_OUTPUTS,
    CUTOUT_OUTPUTS,
    LEADING_TASK,
    StageName,
    TaskName,
)
from smart_filter_shared.presets import SURFACE_FAMILIES, Preset
from smart_filter_shared.queue import batches
from smart_filter_shared.queue.batches import BatchRow, BatchTake
from smart_filter_shared.queue.states import JobState, StageState
from smart_filter_shared.rating import EYES_SHARE, LEVEL_WEIGHTS, SMILE_SHARE, SmileLevel, rate
from smart_filter_shared.recipe import BackgroundKind, Crop, Output, OutputSize, Recipe
from smart_filter_shared.results import (
    MIN_PEOPLE_SHARE,
    CompositeFacts,
    Faces,
    PreparedFacts,
    SegmentationFacts,
    Smile,
    Smiles,
    count_people,
    read_facts,
)
from smart_filter_shared.typed_json import read_as
from smart_filter_wire import findings, words
from smart_filter_wire.batches import (
    Album,
    Batch,
    BatchItem,
    BatchItemError,
    BatchLinks,
    BatchSummary,
    Take,
)
from smart_filter_wire.catalog import Background, Filter, Model, ModelRequirements, ModelVersion
from smart_filter_wire.findings import (
    TAKE,
    AppliedFilter,
    ChosenBackground,
    Face,
    Frame,
    PersonRole,
    Rating,
    TakeReport,
)
from smart_filter_wire.formats import JsonObject
from smart_filter_wire.jobs import (
    FINAL_STATES,
    Image,
    Job,
    JobError,
    JobLinks,
    QueuePosition,
    RankTerms,
    Stage,
    StageModel,
)
from smart_filter_wire.printability import DocumentReport

# Screens of phones are 1,080 pixels wide and more: they enlarge a smaller picture about twice. A
# photo that is enlarged more than this looks soft on any screen.
SMALLEST_SIDE_PX = 600
MOST_ENLARGED = 1.3
# Shares of a portrait's height above the people: usual, and from which on it looks empty; and the
# shapes that a wide group is offered.
USUAL_ABOVE, MOST_EMPTY_ABOVE = 0.22, 0.36
WIDER_SHAPES = ((1, 1), (5, 4), (4, 3), (3, 2), (16, 9))
_NO_SEGMENTATION = SegmentationFacts()
_NO_COMPOSITE = CompositeFacts()


@dataclass(frozen=True, slots=True)
class Findings:
    """A job, and the facts that its stages have stored; None until a stage has succeeded."""

    row: JobRow
    photo: PreparedFacts | None
    segmented: SegmentationFacts | None
    detected: Faces | None
    rated: Smiles | None
    composed: CompositeFacts | None

    @property
    def has_emotions(self) -> bool:
        """Whether the expressions of faces were read."""
        return self.rated is not None and any(smile.emotion for smile in self.rated.smiles)

    @property
    def hides_reasons(self) -> bool:
        """Whether reasons, which name moods, were read from emotions that are not shown."""
        return not self.row.emotions and self.has_emotions


def read_findings(row: JobRow) -> Findings:
    """Return a job with the facts that its stages have stored."""
    return Findings(
        row,
        read_facts(row.result(StageName.PREPARE), PreparedFacts),
        read_facts(row.result(StageName.SEGMENTATION), SegmentationFacts),
        read_facts(row.result(StageName.FACE), Faces),
        read_facts(row.result(StageName.SMILE), Smiles),
        read_facts(row.result(StageName.COMPOSITE), CompositeFacts),
    )


def render_job(
    row: JobRow,
    eta: CompletionEstimate | None = None,
    *,
    links: LinkTerms | None,
    emotions: bool,
) -> Job:
    """Return the answer for a job.

    eta: its place in the queue and its estimated completion; None when the job has ended.
    links: how its outputs' links are signed; None: not at all.
    emotions: whether the server shows emotions, unless the job's tenant turns them off.
    """
    row = row if emotions else hide_emotions(row)
    outputs = list_outputs(row) if row.state == JobState.SUCCEEDED else ()
    signed = None
    if links is not None and outputs and row.finished_at is not None:
        signed = links.sign(
            row.tenant,
            row.id,
            outputs,
            finished_at=row.finished_at,
            job_seconds=row.link_seconds,
        )
    facts = read_findings(row)
    faces = render_faces(facts)
    segmented = facts.segmented or _NO_SEGMENTATION
    composed = facts.composed or _NO_COMPOSITE
    path = f"/v1/jobs/{row.id}"
    return render_as(
        Job,
        row,
        expires_at=row.expires_at if row.state == JobState.SUCCEEDED else None,
        recipe=_recipe(row.recipe),
        metadata=dict(row.recipe.metadata),
        photo=facts.photo,
        subject=_subject(facts),
        people=_count_people(facts),
        persons=segmented.found,
        attached=segmented.attached,
        confidence=segmented.confidence,
        needs_review=_needs_review(facts),
        image=read_as(Image, find_output_file(row, Output.IMAGE)),
        faces=faces,
        faces_removed=None if faces is None else len(read_face_changes(row.corrections).removed),
        emotions_notice=NOTICE if row.emotions and facts.has_emotions else None,
        rating=None if faces is None else render_rating(faces),
        rating_reason=_rating_reason(row.recipe, faces),
        printability=composed.printability,
        document_report=composed.document_report
        or read_as(DocumentReport, (row.error or {}).get("document_report")),
        background=render_background(facts),
        filters=_filters(facts),
        frame=_frame(composed),
        stages=tuple(map(_stage, row.stages)),
        queue=render_queue_position(eta),
        warnings=tuple(_list_warnings(facts)),
        take=row.take and row.take.report,
        outputs={output: f"{path}/outputs/{output}" for output in outputs},
        output_links={} if signed is None else signed.urls,
        output_links_expire_at=None if signed is None else signed.expires_at,
        links=JobLinks(
            self=path, photo=f"{path}/photo", events=f"{path}/events", cancel=f"{path}/cancel"
        ),
        rank_terms=read_as(RankTerms, row.rank_terms),
        error=read_as(JobError, with_remedy(row.error)),
    )


def hide_emotions(row: JobRow) -> JobRow:
    """Return a row whose answers show no emotions, and nothing that was read from them."""
    return dataclasses.replace(row, emotions=False)


def summarize_job(job: Job) -> Job:
    """Return a job without its largest parts, for lists."""
    background = dataclasses.replace(job.background, candidates=())
    nothing = dict.fromkeys(("persons", "faces", "printability", "frame", "rank_terms", "take"))
    return render_as(Job, job, **nothing, stages=(), background=background)


def with_remedy(error: Json | None) -> Json | None:
    """Return a stored error, of a job or of an item that was rejected, with what to do."""
    if error is None:
        return None
    is_of_job = error["stage"] is not None
    return {**error, "remedy": catalog.find_remedy(error["code"], of_job=is_of_job)}


def render_queue_position(eta: CompletionEstimate | None) -> QueuePosition | None:
    """Return a job's place in the queue and its ETA; None when it has ended."""
    if eta is None:
        return None
    return QueuePosition(
        position=eta.position,
        eta_p50_s=None if eta.is_held else round(eta.p50_seconds, 2),
        eta_p90_s=None if eta.is_held else round(eta.p90_seconds, 2),
    )


def render_model(
    model: PublishedModel, failed: Mapping[Capability, str], trained: Sequence[WeightVersion]
) -> Model:
    """Return the answer for a model.

    failed: capabilities that no live worker serves because their models do not load, and why.
    trained: weight versions, of this model and of others.
    """
    card = model.card
    return render_as(
        Model,
        card,
        digest=model.live or card.digest,
        versions=tuple(
            render_as(
                ModelVersion, version.trained, state=version.state, deletions=version.deletions
            )
            for version in trained
            if _is_version_of(version, card)
        ),
        parameters=parameters.schema(card.parameters),
        needs=ModelRequirements(packages=card.requires, extra=card.extra or None),
        tells_persons_apart=card.instances,
        offered=model.offered,
        fault=failed.get(card.capability) if model.offered else model.fault,
    )


def _is_version_of(version: WeightVersion, card: ModelCard) -> bool:
    place = version.trained.task, version.trained.model
    return place == (card.task, card.name) and version.state != VersionState.RETIRED


def render_preset(preset: Preset) -> Background:
    """Return the answer for a background."""
    return render_as(
        Background,
        preset,
        surface=preset.family in SURFACE_FAMILIES,
        thumbnail=f"/v1/backgrounds/{preset.name}/thumbnail",
    )


def render_filter(card: FilterCard) -> Filter:
    """Return the answer for a filter."""
    schema = parameters.schema(card.parameters)
    if card.required:
        schema["required"] = list(card.required)
    return Filter(name=card.name, title=card.title, needs=card.needs, parameters=schema)


def render_faces(facts: Findings) -> tuple[Face, ...] | None:
    """Return the faces of a job; None when they were not requested or are not rated yet.

    Emotions are left out unless `row.emotions`.
    """
    if facts.detected is None or facts.rated is None:
        return None
    return tuple(
        render_as(
            Face,
            face,
            smile=render_as(findings.Smile, smile),
            eyes=eyes,
            emotion=_emotion(smile) if facts.row.emotions else None,
        )
        for face, smile, eyes in zip(
            facts.detected.faces, facts.rated.smiles, facts.rated.eyes, strict=True
        )
    )


def find_output_file(row: JobRow, output: Output) -> Json | None:
    """Return the file entry of an output; None when no stage has stored one."""
    results = (row.result(stage.name) for stage in row.stages)
    files = [result["files"].get(str(output)) for result in results if result is not None]
    return next((file for file in files if file is not None), None)


def render_rating(faces: Sequence[Face]) -> Rating | None:
    """Return the rating of a photo with these faces; None without faces."""
    if not faces:
        return None
    levels = [SmileLevel(face.smile.level) for face in faces]
    rated = rate(levels, [face.eyes for face in faces])
    shares = {"smile": SMILE_SHARE, "eyes": EYES_SHARE}
    return render_as(Rating, rated, weights=dict(LEVEL_WEIGHTS), shares=shares)


def list_outputs(row: JobRow) -> tuple[Output, ...]:
    """Return the outputs of a job; a photo that its album does not compose has fewer."""
    if any(stage.name == StageName.COMPOSITE for stage in row.stages):
        return row.recipe.outputs
    return tuple(output for output in row.recipe.outputs if output not in COMPOSED_OUTPUTS)


def _recipe(recipe: Recipe) -> JsonObject:
    """Return a recipe as `ResolvedRecipe` describes it, its time in UTC."""
    run_at = None if recipe.run_at is None else recipe.run_at.astimezone(dt.UTC)
    return {**recipe.as_json(), "run_at": run_at}


def _emotion(smile: Smile) -> dict[str, float] | None:
    # None where no model rates emotions.
    if smile.emotion is None:
        return None
    return {name: round(share, 4) for name, share in zip(EMOTIONS, smile.emotion, strict=True)}


def _rating_reason(recipe: Recipe, faces: Sequence[Face] | None) -> str | None:
    if not recipe.rates_people:
        return "not_requested"
    return "no_face" if faces == () else None


def _count_people(facts: Findings) -> int | None:
    segmented = facts.segmented
    return None if segmented is None else count_people(segmented, facts.detected)


def has_any_subject(facts: Findings) -> bool:
    """Return whether whatever stands out was looked for, not people alone."""
    segmented = facts.segmented
    return segmented is not None and segmented.any_subject


def _needs_review(facts: Findings) -> bool:
    """Return whether the cutout may be wrong: `needs_review` in docs/api/jobs.md has the cases."""
    segmented = facts.segmented
    if segmented is None:
        return False
    # The client did not choose the lighter model, which does not judge its matte.
    is_unjudged = segmented.confidence is None and any(
        degradation.startswith("segmentation.model=") for degradation in facts.row.degraded
    )
    return is_unjudged or _misses_person(facts) or segmented.needs_review


def _list_warnings(facts: Findings) -> list[str]:
    """Return sentences on a picture that is not as asked for, or looks worse than it could."""
    composed = facts.composed
    if composed is None or composed.frame is None:
        return []
    frame, warnings = composed.frame, _warn_of_no_person(facts, composed)
    framing = facts.row.recipe.framing
    if framing.document is not None:
        return warnings  # the report says it
    is_sized = framing.size != OutputSize()
    crop_less = ", or crop less" if framing.crop != Crop.NONE else ""
    if min(frame.width, frame.height) < SMALLEST_SIDE_PX:
        warnings.append(
            f"The picture is {frame.width} × {frame.height} pixels, which is small for a post: "
            + ("choose a larger size." if is_sized else f"send a larger photo{crop_less}.")
        )
    if frame.scale > MOST_ENLARGED:
        warnings.append(
            f"The photo is enlarged {frame.scale:.1f} times and looks soft: choose a smaller"
            f" size{crop_less}."
        )
    if framing.crop == Crop.FACES and composed.foreground is not None:
        warnings += _warn_of_empty_part((frame.width, frame.height), composed.foreground[1])
    return warnings


def _warn_of_empty_part(size: tuple[int, int], top: int) -> list[str]:
    """Return a sentence when a group is too wide to fill its picture, and begins far from its top.

    size: of the picture, top: of the people, in pixels.
    """
    above = top / size[1]
    if above <= MOST_EMPTY_ABOVE:
        return []
    filled = size[0] / (size[1] - top) * (1 - USUAL_ABOVE)
    wide, tall = min(WIDER_SHAPES, key=lambda shape: abs(math.log(shape[0] / shape[1] / filled)))
    return [f"The group leaves {above:.0%} of the picture empty: aspect={wide}:{tall} fits it."]


def _warn_of_no_person(facts: Findings, composed: CompositeFacts) -> list[str]:
    """Return a sentence when people were to be cut out of a photo, and none was."""
    segmented = facts.segmented
    if segmented is None:
        return []
    chosen = composed.background
    asks = facts.row.recipe.background.kind not in {BackgroundKind.AUTO, BackgroundKind.KEEP}
    is_kept = asks and chosen is not None and chosen.kind == BackgroundKind.KEEP
    is_empty = bool(CUTOUT_OUTPUTS & set(facts.row.recipe.outputs)) and composed.foreground is None
    if not (is_kept or is_empty):
        return []
    possible = next(
        (person for person in segmented.found or () if person.role == PersonRole.POSSIBLE), None
    )
    if _misses_person(facts):
        missing = "No person has the number that `persons` names"
    elif possible is not None:
        missing = (
            "It is not certain that a person is in the photo (to cut it out, choose"
            f" persons={possible.number})"
        )
    elif segmented.any_subject:
        missing = "Nothing stands out in the photo"
    else:
        missing = "No person was found in the photo (for a product or an animal: subject=any)"
    results_of_it = ["its own background is kept"] * is_kept + ["the cutout is empty"] * is_empty
    return [f"{missing}: {' and '.join(results_of_it)}."]


def _misses_person(facts: Findings) -> bool:
    """Return whether the recipe keeps a number that no person has."""
    segmented = facts.segmented
    # A model that separates no persons makes one of all.
    count = 1
    if segmented is not None and segmented.found is not None:
        count = len(segmented.found)
    return isinstance(facts.row.recipe.persons, tuple) and max(facts.row.recipe.persons) > count


def _subject(facts: Findings) -> Literal["people", "object"] | None:
    """Return what was found; None when nothing was, or was searched."""
    segmented = facts.segmented
    if segmented is None or segmented.coverage < MIN_PEOPLE_SHARE:
        return None
    return "object" if segmented.any_subject else "people"


def render_background(facts: Findings) -> ChosenBackground:
    """Return the background of a job; the requested one until it was chosen."""
    chosen = None if facts.composed is None else facts.composed.background
    if chosen is None:
        asked = facts.row.recipe.background
        name = asked.value if asked.kind == BackgroundKind.PRESET else None
        return ChosenBackground(kind=asked.kind, name=name, keywords=(), reason=None)
    if facts.hides_reasons:
        # The candidates' scores depend on moods too.
        return render_as(ChosenBackground, chosen, reason=None, candidates=())
    return chosen


def _frame(composed: CompositeFacts) -> Frame | None:
    if composed.frame is None:
        return None
    return render_as(Frame, composed.frame, foreground=composed.foreground)


def _filters(facts: Findings) -> tuple[AppliedFilter, ...]:
    if facts.composed is None or not facts.composed.filters:
        asked = facts.row.recipe.filters
        return tuple(AppliedFilter(name=each.name, applied=None, reason=None) for each in asked)
    if facts.hides_reasons:
        return tuple(dataclasses.replace(each, reason=None) for each in facts.composed.filters)
    return facts.composed.filters


def _stage(row: StageRow) -> Stage:
    leading = LEADING_TASK[row.name]
    digests = (row.result or {}).get("digests", {})
    return Stage(
        name=row.name,
        model=row.models[leading],
        digest=digests.get(leading),
        models=tuple(
            StageModel(task=TaskName(task), name=name, digest=digests.get(task))
            for task, name in sorted(row.models.items(), key=lambda item: item[0] != leading)
        ),
        state=cast("words.StageState", row.state),
        attempt=row.attempt,
        # People compare stages by milliseconds; 0 stays for stages that took a result over.
        seconds=row.seconds and max(0.001, round(row.seconds, 3)),
        # A stage that ran has counted at least one attempt.
        reused=row.state == StageState.SUCCEEDED and row.seconds == 0,
    )


def render_batch(row: BatchRow) -> Batch:
    """Return the answer for a batch whose items were loaded."""
    items = tuple(map(_item, row.items or ()))
    take = None if row.take is None else _take(row.take)
    return render_as(Batch, row, **_counts_and_links(row), items=items, take=take)


def render_summary(row: BatchRow) -> BatchSummary:
    """Return the answer for a batch, without its items."""
    return render_as(BatchSummary, row, **_counts_and_links(row))


def _counts_and_links(row: BatchRow) -> dict[str, Any]:  # fields of BatchSummary
    path = f"/v1/batches/{row.id}"
    return {
        **{state: row.counts.get(JobState(state), 0) for state in FINAL_STATES},
        "album": None
        if row.best is None
        else Album(best=row.best if row.take_id is None else TAKE, ranked_at=row.ranked_at),
        "links": BatchLinks(self=path, events=f"{path}/events", cancel=f"{path}/cancel"),
    }


def _item(item: batches.BatchItem) -> BatchItem:
    error = read_as(BatchItemError, with_remedy(item.error))
    return render_as(BatchItem, item, error=error, deleted=item.is_deleted)


def _take(job: BatchTake) -> Take:
    return render_as(
        Take,
        read_take(job.take).report or TakeReport(),
        job_id=job.job_id,
        state=job.state,
        error=read_as(BatchItemError, with_remedy(job.error)),
        link=f"/v1/jobs/{job.job_id}",
    )
