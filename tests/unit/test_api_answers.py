import pytest

from smart_filter_api import answers
from smart_filter_api.schemas.jobs import JobAnswer
from smart_filter_shared.jobs.queries import JobRow
from smart_filter_shared.jobs.retention import Keeping
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.recipe import Background, BackgroundKind, Filter, Recipe
from smart_filter_tests.job_rows import Facts, a_job_row

SEGMENTATION, COMPOSITE = StageName.SEGMENTATION, StageName.COMPOSITE
FACE, SMILE = StageName.FACE, StageName.SMILE


def answered(row: JobRow) -> JobAnswer:
    return answers.job(row, Keeping(input_seconds=10, result_seconds=60))


def answer_with(facts: Facts, recipe: Recipe | None = None) -> JobAnswer:
    return answered(a_job_row(facts, recipe=recipe))


def faces(count: int) -> dict[StageName, dict[str, object]]:
    face = {"box": [0, 0, 9, 9], "score": 0.5, "landmarks": [[1, 2]] * 5}
    return {FACE: {"faces": [face] * count}}


def rated(*levels: str, open_eyes: bool | None = True) -> dict[StageName, dict[str, object]]:
    """Return faces with these smiles, both eyes of each open, closed or unknown."""
    eyes = {"left_open": open_eyes, "right_open": open_eyes}
    smiles = [{"level": level, "score": 0.5} for level in levels]
    return {**faces(len(levels)), SMILE: {"smiles": smiles, "eyes": [eyes] * len(levels)}}


@pytest.mark.parametrize(
    ("segmented", "found", "people"),
    [
        ({"coverage": 0.3}, 0, 1),
        ({"coverage": 0.3}, 3, 3),
        ({"coverage": 0.005}, 2, 2),
        ({"coverage": 0.0049}, 2, 0),
        ({"coverage": 0.3, "persons": 0}, 2, 0),
        ({"coverage": 0.0, "persons": 4}, 1, 4),
    ],
)
def test_people_are_those_the_model_tells_apart_else_judged_by_matte_and_faces(
    segmented: dict[str, object], found: int, people: int
) -> None:
    assert answer_with({SEGMENTATION: segmented, **faces(found)}).people == people


def test_people_faces_and_rating_are_null_unless_requested() -> None:
    recipe = Recipe(background=Background(BackgroundKind.KEEP), require_person=True)

    job = answer_with({SEGMENTATION: {"coverage": 0.3}}, recipe)

    without_face = answer_with(rated())
    assert (job.people, job.faces, job.rating) == (None, None, None)
    assert job.rating_reason == "not_requested"
    assert (without_face.faces, without_face.rating) == ([], None)
    assert without_face.rating_reason == "no_face"


@pytest.mark.parametrize(("open_eyes", "ratio"), [(True, 1.0), (False, 0.0), (None, 0.0)])
def test_unknown_eye_counts_as_not_open(
    open_eyes: bool | None,  # noqa: FBT001 - pytest passes by name
    ratio: float,
) -> None:
    rating = answer_with(rated("huge", "none", open_eyes=open_eyes)).rating

    assert rating.open_eye_ratio == ratio


def test_background_is_the_requested_one_until_it_is_chosen() -> None:
    terms = {"mood": 1.0, "contrast": 0.9, "harmony": 0.8, "variety": 0.1}
    chosen = {
        "kind": "preset",
        "name": "postcard",
        "keywords": ["sea"],
        "reason": "Everybody smiles.",
        "candidates": [{"name": "sky", "score": 0.75, "terms": terms}],
    }
    requested = {"kind": "auto", "name": None, "keywords": [], "reason": None, "candidates": []}

    after = answer_with({COMPOSITE: {"background": {**chosen, "light": 0.5}}}).background
    bare = {name: chosen[name] for name in ("kind", "name", "keywords", "reason")}

    assert answer_with({}).background.model_dump() == requested
    assert after.model_dump() == chosen
    assert answer_with({COMPOSITE: {"background": bare}}).background.candidates == []


def test_filters_are_unknown_until_they_are_drawn() -> None:
    recipe = Recipe(filters=(Filter("grade"), Filter("hat")))
    drawn = [
        {"name": "grade", "applied": True, "reason": "mono: black and white"},
        {"name": "hat", "applied": False, "reason": "no face was found"},
    ]

    before = answer_with({}, recipe).filters
    after = answer_with({COMPOSITE: {"filters": drawn}}, recipe).filters

    assert [one.model_dump() for one in before] == [
        {"name": name, "applied": None, "reason": None} for name in ("grade", "hat")
    ]
    assert [one.model_dump() for one in after] == drawn
