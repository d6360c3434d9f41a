"""What is answered about jobs, from what their rows hold."""

import dataclasses
import datetime as dt
import uuid
from collections.abc import Mapping

import pytest

from smart_filter_api import answers
from smart_filter_api.schemas.jobs import JobAnswer
from smart_filter_shared.cards import LEADING_TASK
from smart_filter_shared.emotions import EMOTIONS
from smart_filter_shared.ids import JobId, Tenant
from smart_filter_shared.jobs.queries import JobRow, StageRow
from smart_filter_shared.jobs.retention import Keeping
from smart_filter_shared.jobs.states import JobState
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.recipe import Background, BackgroundKind, Filter, Output, Recipe, stages
from smart_filter_tests.printable import PRINTABILITY

PREPARE, SEGMENTATION, FACE, SMILE, COMPOSITE = StageName
NEW_YEAR_IN_TOKYO = dt.datetime(2026, 1, 1, 8, 30, tzinfo=dt.timezone(dt.timedelta(hours=9)))
KEEP = Background(BackgroundKind.KEEP)


def a_row(
    facts: Mapping[StageName, Mapping[str, object]] | None = None,
    *,
    recipe: Recipe | None = None,
    state: JobState = JobState.RUNNING,
) -> JobRow:
    """Return a job whose stages with facts have succeeded."""
    known = facts or {}
    wanted = recipe or Recipe()
    return JobRow(
        id=JobId(uuid.UUID(int=1)),
        tenant=Tenant("tests"),
        state=state,
        recipe=wanted,
        seed=1,
        photo_key="key",
        created_at=NEW_YEAR_IN_TOKYO,
        finished_at=None,
        error=None,
        stages=tuple(
            StageRow(
                name=stage,
                state="succeeded" if stage in known else "waiting",
                attempt=1,
                models={LEADING_TASK[stage]: "model"},
                seconds=None,
                result={"facts": known[stage], "arrays": {}, "files": {}}
                if stage in known
                else None,
            )
            for stage in stages(wanted)
        ),
    )


def answered(row: JobRow) -> JobAnswer:
    return answers.job(row, Keeping(input_seconds=10, result_seconds=60))


def faces(count: int) -> dict[StageName, dict[str, object]]:
    face = {"box": [0, 0, 9, 9], "score": 0.5, "landmarks": [[1, 2]] * 5}
    return {FACE: {"faces": [face] * count}}


def rated(*levels: str, open_eyes: bool | None = True) -> dict[StageName, dict[str, object]]:
    """Return faces with these smiles, both eyes of each open, closed or unknown."""
    eyes = {"left_open": open_eyes, "right_open": open_eyes}
    smiles = [{"level": level, "score": 0.5} for level in levels]
    return {**faces(len(levels)), SMILE: {"smiles": smiles, "eyes": [eyes] * len(levels)}}


def test_places_are_told_to_hundredths_of_a_pixel() -> None:
    known = rated("huge")
    known[FACE] = {
        "faces": [{"box": [1 / 3, 2, 3, 4], "score": 0.5, "landmarks": [[1 / 3, 2 / 3]] * 5}]
    }
    frame = {"width": 9, "height": 9, "scale": 1 / 3, "left": -2 / 3, "top": 0.0}

    job = answered(a_row({**known, COMPOSITE: {"frame": frame}}))

    assert job.faces is not None
    assert job.faces[0].box == [0.33, 2.0, 3.0, 4.0]
    assert job.faces[0].landmarks == [[0.33, 0.67]] * 5
    assert job.frame is not None
    assert (job.frame.scale, job.frame.left) == (0.333333, -0.67)


@pytest.mark.parametrize(
    ("coverage", "persons", "found", "people"),
    [
        (0.3, None, 0, 1),
        (0.3, None, 3, 3),
        (0.005, None, 2, 2),
        (0.0049, None, 2, 0),
        (0.3, 0, 2, 0),
        (0.0, 4, 1, 4),
    ],
)
def test_people_are_those_the_model_tells_apart_else_judged_by_matte_and_faces(
    coverage: float, persons: int | None, found: int, people: int
) -> None:
    segmented = {"coverage": coverage} | ({} if persons is None else {"persons": persons})

    job = answered(a_row({SEGMENTATION: segmented, **faces(found)}))

    assert job.people == people


def test_people_are_unknown_until_what_decides_has_succeeded() -> None:
    covered = {SEGMENTATION: {"coverage": 0.3}}

    assert answered(a_row()).people is None
    assert answered(a_row(covered)).people is None
    assert answered(a_row({**covered, **faces(1)})).people == 1


def test_people_faces_and_rating_are_null_when_nobody_asked() -> None:
    recipe = Recipe(background=KEEP, require_person=True)

    job = answered(a_row({SEGMENTATION: {"coverage": 0.3}}, recipe=recipe))

    assert (job.people, job.faces, job.rating) == (None, None, None)
    assert job.rating_reason == "not_requested"


def test_photo_without_a_face_has_no_rating_and_says_so() -> None:
    job = answered(a_row(rated()))

    assert (job.faces, job.rating, job.rating_reason) == ([], None, "no_face")


def test_printability_is_what_composite_found_and_null_before_or_without() -> None:
    judged = {StageName.COMPOSITE: {"printability": PRINTABILITY}}

    assert answered(a_row(rated())).printability is None
    assert answered(a_row({StageName.COMPOSITE: {}})).printability is None
    printable = answered(a_row(judged)).model_dump(mode="json")["printability"]
    assert {name: printable[name] for name in PRINTABILITY} == PRINTABILITY


def test_rating_is_computed_from_its_own_terms() -> None:
    rating = answered(a_row(rated("none", "huge", "mild"))).rating

    assert rating is not None
    assert rating.avg_smiling_score == pytest.approx((0.2 + 1.0 + 0.5) / 3, abs=1e-12)
    assert rating.score == pytest.approx(
        rating.shares["smile"] * rating.avg_smiling_score
        + rating.shares["eyes"] * rating.open_eye_ratio,
        abs=1e-12,
    )


@pytest.mark.parametrize(("open_eyes", "ratio"), [(True, 1.0), (False, 0.0), (None, 0.0)])
def test_eye_that_cannot_be_told_counts_as_not_open(
    open_eyes: bool | None,  # noqa: FBT001 - pytest passes by name
    ratio: float,
) -> None:
    rating = answered(a_row(rated("huge", "none", open_eyes=open_eyes))).rating

    assert rating is not None
    assert rating.open_eye_ratio == ratio


def test_background_is_what_was_asked_for_until_it_is_chosen() -> None:
    chosen = {
        "kind": "preset",
        "name": "postcard",
        "keywords": ["sea"],
        "reason": "Everybody smiles.",
    }

    before = answered(a_row()).background
    after = answered(a_row({COMPOSITE: {"background": chosen}})).background

    assert before.model_dump() == {
        "kind": "auto",
        "name": None,
        "keywords": [],
        "reason": None,
        "candidates": [],
    }
    assert after.model_dump() == {**chosen, "candidates": []}


def test_filters_are_told_when_they_are_drawn() -> None:
    recipe = Recipe(filters=(Filter("grade"), Filter("hat")))
    said = [
        {"name": "grade", "applied": True, "reason": "mono: black and white"},
        {"name": "hat", "applied": False, "reason": "no face was found"},
    ]

    before = answered(a_row(recipe=recipe)).filters
    after = answered(a_row({COMPOSITE: {"filters": said}}, recipe=recipe)).filters

    assert [(one.name, one.applied, one.reason) for one in before] == [
        ("grade", None, None),
        ("hat", None, None),
    ]
    assert [one.model_dump() for one in after] == said


def test_emotions_are_told_where_a_model_has_read_them() -> None:
    both = rated("none", "huge")
    sad, merry = both[SMILE]["smiles"]
    shares = [0.3, 0.0, 0.0, 2 / 3, 0.0333333, 0.0, 0.0, 0.0]
    read = {**both, SMILE: {**both[SMILE], "smiles": [{**sad, "emotion": shares}, merry]}}

    known, unknown = [face.emotion for face in answered(a_row(read)).faces or []]

    assert known == dict(zip(EMOTIONS, [0.3, 0, 0, 0.6667, 0.0333, 0, 0, 0], strict=True))
    assert unknown is None
    assert [face.emotion for face in answered(a_row(both)).faces or []] == [None, None]


def test_candidates_are_told_with_their_terms() -> None:
    terms = {"mood": 1.0, "contrast": 0.9, "harmony": 0.8, "variety": 0.1}
    candidates = [{"name": "sky", "score": 0.75, "terms": terms}]
    chosen = {"kind": "preset", "name": "sky", "keywords": [], "reason": "", "light": 0.5}

    told = answered(a_row({COMPOSITE: {"background": {**chosen, "candidates": candidates}}}))

    assert [one.model_dump() for one in told.background.candidates] == candidates
    assert answered(a_row({COMPOSITE: {"background": chosen}})).background.candidates == []


@pytest.mark.parametrize(
    ("state", "outputs"),
    [
        (JobState.RUNNING, []),
        (JobState.FAILED, []),
        (JobState.CANCELED, []),
        (JobState.SUCCEEDED, ["faces"]),
    ],
)
def test_only_a_job_that_has_succeeded_names_outputs(state: JobState, outputs: list[str]) -> None:
    row = a_row(recipe=Recipe(outputs=(Output.FACES,)), state=state)

    assert list(answered(row).outputs) == outputs


@pytest.mark.parametrize(
    ("state", "expires_at"),
    [
        (JobState.SUCCEEDED, NEW_YEAR_IN_TOKYO + dt.timedelta(seconds=60)),
        (JobState.FAILED, None),
        (JobState.CANCELED, None),
    ],
)
def test_only_what_a_job_has_made_expires(state: JobState, expires_at: dt.datetime | None) -> None:
    row = dataclasses.replace(a_row(state=state), finished_at=NEW_YEAR_IN_TOKYO)

    assert answered(row).expires_at == expires_at


def test_job_that_has_not_ended_does_not_expire_yet() -> None:
    assert answered(a_row()).expires_at is None


def test_times_are_utc_with_a_z() -> None:
    assert '"created_at":"2025-12-31T23:30:00Z"' in answered(a_row()).model_dump_json()
