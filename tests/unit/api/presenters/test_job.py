import dataclasses
import datetime as dt
import json
import uuid
from typing import Any

import pytest

from smart_filter_api.auth.links import LinkSigner, LinkTerms
from smart_filter_api.http import documents
from smart_filter_api.presenters import job as presenters_job
from smart_filter_api.presenters import webhook_payload
from smart_filter_api.schemas.recipe import Resolved
from smart_filter_shared.albums import MAX_SHOTS, Take, TakeShot
from smart_filter_shared.catalog.emotions import EMOTIONS, NOTICE
from smart_filter_shared.ids import BatchId, DeliveryId, JobId, LeaseToken, Tenant
from smart_filter_shared.jobs.queries import JobRow
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.queue.batches import BatchItem, BatchRow, BatchTake
from smart_filter_shared.queue.states import JobState
from smart_filter_shared.recipe import (
    Background,
    BackgroundKind,
    Crop,
    Filter,
    Framing,
    Output,
    PersonSelection,
    Recipe,
)
from smart_filter_shared.recipe.background import parse_background
from smart_filter_shared.webhooks.outbox import ClaimedDelivery
from smart_filter_wire.findings import TakePerson, TakeReport, TakeSwap
from smart_filter_wire.jobs import Job
from unit.job_rows import CREATED_AT, Facts, a_job_row

SEGMENTATION, COMPOSITE = StageName.SEGMENTATION, StageName.COMPOSITE
FACE, SMILE = StageName.FACE, StageName.SMILE


def render(row: JobRow) -> Job:
    return presenters_job.render_job(row, links=None, emotions=True)


def answer_with(facts: Facts, recipe: Recipe | None = None) -> Job:
    return render(a_job_row(facts, recipe=recipe))


def faces(count: int) -> dict[StageName, dict[str, object]]:
    face = {"box": [0, 0, 9, 9], "score": 0.5, "landmarks": [[1, 2]] * 5}
    return {FACE: {"faces": [face] * count}}


def rated(*levels: str, open_eyes: bool | None = True) -> dict[StageName, dict[str, object]]:
    """Return faces with these smiles; each has both eyes open, closed or unknown."""
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
def test_people_are_counted_by_the_model_or_judged_by_matte_and_faces(
    segmented: dict[str, object], found: int, people: int
) -> None:
    assert answer_with({SEGMENTATION: segmented, **faces(found)}).people == people


@pytest.mark.parametrize(
    ("segmented", "people"),
    [({"coverage": 0.3, "persons": 2}, 2), ({"coverage": 0.0}, 0), ({"coverage": 0.3}, None)],
)
def test_people_are_counted_where_no_faces_are_searched(
    segmented: dict[str, object], people: int | None
) -> None:
    recipe = Recipe(background=Background(BackgroundKind.TRANSPARENT))

    assert answer_with({SEGMENTATION: segmented}, recipe).people == people


@pytest.mark.parametrize(
    ("degraded", "confidence", "needs_review"),
    [
        ((), None, False),
        (("edge=fast",), None, False),
        (("edge=fast", "segmentation.model=selfie"), None, True),
        (("edge=fast", "segmentation.model=selfie"), 0.97, False),
    ],
)
def test_lighter_model_that_does_not_judge_its_matte_needs_a_review(
    degraded: tuple[str, ...], confidence: float | None, *, needs_review: bool
) -> None:
    facts = {SEGMENTATION: {"coverage": 0.3, "confidence": confidence}}

    assert render(a_job_row(facts, degraded=degraded)).needs_review is needs_review
    assert not render(a_job_row(degraded=degraded)).needs_review


MAYBE = {"number": 1, "box": [0, 0, 9, 9], "kept": False, "role": "possible"}
DROPPED = {"number": 1, "box": [0, 0, 9, 9], "kept": False}


@pytest.mark.parametrize(
    ("background", "kind", "persons", "segmented", "words"),
    [
        ("color:white", "keep", PersonSelection.ALL, {}, "No person was found"),
        ("transparent", "keep", PersonSelection.ALL, {}, "No person was found"),
        ("transparent", "keep", PersonSelection.ALL, {"found": [MAYBE]}, "choose persons=1"),
        ("transparent", "keep", (2,), {"found": [DROPPED]}, "`persons` names"),
        ("transparent", "keep", PersonSelection.ALL, {"any_subject": True}, "Nothing stands out"),
        ("color:white", "color", PersonSelection.ALL, {"coverage": 0.3}, None),
        ("auto", "keep", PersonSelection.ALL, {}, None),
        ("keep", "keep", PersonSelection.ALL, {}, None),
    ],
)
def test_photo_without_people_that_keeps_its_background_has_a_warning(
    background: str,
    kind: str,
    persons: PersonSelection | tuple[int, ...],
    segmented: dict[str, object],
    words: str | None,
) -> None:
    composed = {
        "frame": {"width": 900, "height": 900, "scale": 1, "left": 0, "top": 0},
        "background": {"kind": kind, "name": None, "keywords": [], "reason": ""},
    }
    recipe = Recipe(background=parse_background(background), persons=persons)

    warnings = answer_with({SEGMENTATION: segmented, COMPOSITE: composed}, recipe).warnings

    assert [words in warning for warning in warnings if words] == [True] * (words is not None)
    assert bool(warnings) == (words is not None)


def test_empty_cutout_has_a_warning() -> None:
    composed = {"frame": {"width": 900, "height": 900, "scale": 1, "left": 0, "top": 0}}

    job = answer_with({SEGMENTATION: {}, COMPOSITE: composed}, Recipe(outputs=(Output.CUTOUT,)))

    (warning,) = job.warnings
    assert warning.startswith("No person was found in the photo (for a product or an animal:")
    assert warning.endswith("subject=any): the cutout is empty.")


@pytest.mark.parametrize(
    ("persons", "needs_review"),
    [(PersonSelection.ALL, False), ((2,), False), ((1, 2), False), ((3,), True), ((1, 99), True)],
)
def test_number_that_no_person_has_needs_a_review(
    persons: PersonSelection | tuple[int, ...], *, needs_review: bool
) -> None:
    persons_found = [{"number": number, "box": [0, 0, 9, 9], "kept": True} for number in (1, 2)]

    job = answer_with(
        {SEGMENTATION: {"coverage": 0.3, "found": persons_found}}, Recipe(persons=persons)
    )

    assert job.needs_review is needs_review


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        ({"width": 900, "height": 1200, "scale": 1.0}, []),
        ({"width": 599, "height": 1200, "scale": 1.0}, ["599 × 1200 pixels"]),
        ({"width": 900, "height": 1200, "scale": 1.3}, []),
        ({"width": 300, "height": 400, "scale": 2.5}, ["300 × 400 pixels", "enlarged 2.5 times"]),
    ],
)
def test_small_or_enlarged_picture_has_a_warning(frame: dict[str, float], words: list[str]) -> None:
    row = a_job_row({COMPOSITE: {"frame": {**frame, "left": 0.0, "top": 0.0}}})

    warnings = render(row).warnings

    assert len(warnings) == len(words)
    assert all(word in warning for word, warning in zip(words, warnings, strict=True))


@pytest.mark.parametrize(
    ("people", "words"),
    [
        ((0, 300, 1000, 950), []),
        ((0, 500, 1000, 750), ["40% of the picture empty: aspect=1:1 fits it"]),
        ((0, 800, 1000, 450), ["64% of the picture empty: aspect=16:9 fits it"]),
        (None, []),
    ],
)
def test_group_too_wide_for_its_picture_is_offered_a_wider_one(
    people: tuple[int, ...] | None, words: list[str]
) -> None:
    frame = {"width": 1000, "height": 1250, "scale": 1.0, "left": 0.0, "top": 0.0}
    recipe = Recipe(framing=Framing(crop=Crop.FACES, aspect=(4, 5)))

    composed = {"frame": frame, "foreground": people}
    warnings = answer_with({COMPOSITE: composed}, recipe).warnings

    assert len(warnings) == len(words)
    assert all(word in warning for word, warning in zip(words, warnings, strict=True))


def test_attached_things_are_shown_and_null_where_none_are_looked_for() -> None:
    thing = {"box": [1.5, 2, 3, 4], "person": 2}

    shown = answer_with({SEGMENTATION: {"coverage": 0.3, "attached": [thing]}})
    plain = answer_with({SEGMENTATION: {"coverage": 0.3}})

    assert documents.to_json(shown)["attached"] == [thing]
    assert plain.attached is None


def test_people_faces_and_rating_are_null_unless_requested() -> None:
    recipe = Recipe(background=Background(BackgroundKind.KEEP), require_person=True)

    job = answer_with({SEGMENTATION: {"coverage": 0.3}}, recipe)

    without_face = answer_with(rated())
    assert (job.people, job.faces, job.rating) == (None, None, None)
    assert job.rating_reason == "not_requested"
    assert (without_face.faces, without_face.rating) == ((), None)
    assert without_face.rating_reason == "no_face"


@pytest.mark.parametrize(("open_eyes", "ratio"), [(True, 1.0), (False, 0.0), (None, 0.0)])
def test_unknown_eye_counts_as_not_open(
    open_eyes: bool | None,  # noqa: FBT001 - pytest passes by name
    ratio: float,
) -> None:
    rating = answer_with(rated("huge", "none", open_eyes=open_eyes)).rating

    assert rating.open_eye_ratio == ratio


SHARES = [0.1, 0.9, 0, 0, 0, 0, 0, 0]
# What a worker stored while emotions were on.
WITH_EMOTIONS = {
    **faces(1),
    SMILE: {
        "smiles": [{"level": "huge", "score": 0.9, "emotion": SHARES}],
        "eyes": [{"left_open": True, "right_open": True}],
    },
    COMPOSITE: {
        "background": {
            "kind": "auto",
            "name": "beach",
            "keywords": [],
            "reason": "1 person, looking happy (0.95 of 1)",
        },
        "filters": [{"name": "grade", "applied": True, "reason": "warm: looking happy"}],
    },
}


def test_answer_with_emotions_carries_the_notice() -> None:
    with_emotions, without = answer_with(WITH_EMOTIONS), answer_with(rated("huge"))

    assert with_emotions.faces is not None
    assert without.faces is not None
    assert with_emotions.faces[0].emotion == dict(zip(EMOTIONS, SHARES, strict=True))
    assert with_emotions.emotions_notice == NOTICE
    assert (without.faces[0].emotion, without.emotions_notice) == (None, None)


@pytest.mark.parametrize("turned_off_by", ["server", "tenant"])
def test_stored_emotions_are_not_shown_once_they_are_off(turned_off_by: str) -> None:
    stored = a_job_row(WITH_EMOTIONS, recipe=Recipe(filters=(Filter("grade"),)))
    row = dataclasses.replace(stored, emotions=turned_off_by != "tenant")
    claimed = a_claimed(row)

    sent = webhook_payload.render_payload(
        claimed, row, links=LINKS, emotions=turned_off_by != "server"
    )

    shown = json.loads(sent)["data"]
    assert shown["faces"][0]["emotion"] is None
    assert (shown["faces"][0]["smile"]["level"], shown["emotions_notice"]) == ("huge", None)
    assert (shown["background"]["name"], shown["background"]["reason"]) == ("beach", None)
    assert shown["filters"] == [{"name": "grade", "applied": True, "reason": None}]
    assert b"happy" not in sent


def test_filters_are_unknown_until_they_are_drawn() -> None:
    recipe = Recipe(filters=(Filter("grade"), Filter("hat")))
    drawn = [
        {"name": "grade", "applied": True, "reason": "mono: black and white"},
        {"name": "hat", "applied": False, "reason": "no face was found"},
    ]

    before = answer_with({}, recipe).filters
    after = answer_with({COMPOSITE: {"filters": drawn}}, recipe).filters

    assert [dataclasses.asdict(filter_) for filter_ in before] == [
        {"name": name, "applied": None, "reason": None} for name in ("grade", "hat")
    ]
    assert [dataclasses.asdict(filter_) for filter_ in after] == drawn


def test_recipe_is_shown_as_it_is_described() -> None:
    run_at = CREATED_AT.astimezone(dt.timezone(dt.timedelta(hours=2)))

    shown = documents.to_json(answer_with({}, Recipe(run_at=run_at, filters=(Filter("hat"),))))

    assert shown["recipe"].keys() == Resolved.model_fields.keys()
    assert shown["recipe"]["run_at"] == "2026-01-01T08:30:00Z"


LINKS = LinkTerms(
    LinkSigner(["s" * 32]),
    base_url="https://photos.example.com",
    default_seconds=3600,
    clock=lambda: CREATED_AT,
)
A_FACE = {"box": [1.25, 2.25, 30.125, 40.125], "score": 0.987654, "landmarks": [[1.123, 2.123]] * 5}


def a_job(faces: int, metadata: dict[str, str] | None = None) -> JobRow:
    recipe = Recipe(outputs=(Output.IMAGE, Output.RATING), metadata=metadata or {})
    rated = {
        "smiles": [{"level": "mild", "score": 0.5}] * faces,
        "eyes": [{"left_open": True, "right_open": None}] * faces,
    }
    facts = {StageName.FACE: {"faces": [A_FACE] * faces}, StageName.SMILE: rated}
    return a_job_row(facts, recipe=recipe, state=JobState.SUCCEEDED, finished_at=CREATED_AT)


def a_claimed(job: JobRow | None) -> ClaimedDelivery:
    return ClaimedDelivery(
        id=DeliveryId(uuid.UUID(int=2)),
        tenant=Tenant("tests"),
        webhook="a webhook",
        url=None,
        lane="lane",
        job_id=None if job is None else job.id,
        type="webhook.test" if job is None else "job.succeeded",
        happened_at=CREATED_AT,
        attempt=1,
        token=LeaseToken(uuid.UUID(int=3)),
    )


def payload_of(job: JobRow | None) -> tuple[int, dict[str, Any]]:
    body = webhook_payload.render_payload(a_claimed(job), job, links=LINKS, emotions=True)
    return len(body), json.loads(body)


def test_webhook_contains_the_job_as_get_shows_it() -> None:
    job = a_job(faces=3)

    assert payload_of(job)[1] == {
        "type": "job.succeeded",
        "timestamp": "2026-01-01T08:30:00Z",
        "data": json.loads(
            documents.encode(presenters_job.render_job(job, links=LINKS, emotions=True))
        ),
    }


@pytest.mark.parametrize("letter", ["x", "ü", "😀", "\x01", '"'])
def test_metadata_keeps_the_webhook_below_20_kb(letter: str) -> None:
    metadata = {f"{number:x}" * 64: letter * 256 for number in range(16)}

    length, document = payload_of(a_job(faces=600, metadata=metadata))

    assert length <= 20_000
    assert document["data"]["state"] == "succeeded"
    assert document["data"]["links"]["self"].endswith("1")


def a_batch(items: int) -> BatchRow:
    return BatchRow(
        id=BatchId(uuid.UUID(int=4)),
        tenant=Tenant("tests"),
        total=items,
        best=None,
        ranked_at=None,
        created_at=CREATED_AT,
        finished_at=CREATED_AT,
        webhook_url=None,
        counts={JobState.SUCCEEDED: items},
        items=[
            BatchItem(index, JobId(uuid.UUID(int=index)), JobState.SUCCEEDED, None, None, False)
            for index in range(items)
        ],
    )


def a_take(people: int) -> BatchTake:
    shots = tuple(TakeShot(JobId(uuid.UUID(int=item)), item) for item in range(MAX_SHOTS))
    persons = tuple(
        TakePerson(person, (1234.5,) * 4, tuple(range(MAX_SHOTS)))
        for person in range(1, people + 1)
    )
    swaps = tuple(TakeSwap(person.person, 1, "the smile is better") for person in persons)
    notes = ("Photo 3 was not used: it has another size.",) * 250
    report = TakeReport(0, swaps, persons, None, notes)
    job_id = JobId(uuid.UUID(int=9))
    return BatchTake(job_id, JobState.SUCCEEDED, None, Take(shots, report=report).as_json())


def test_large_take_keeps_its_swaps_in_the_webhook() -> None:
    batch = dataclasses.replace(a_batch(items=12), take=a_take(people=40))
    claimed = dataclasses.replace(a_claimed(None), type="batch.finished", batch_id=batch.id)

    body = webhook_payload.render_payload(claimed, batch, links=LINKS, emotions=True)

    take = json.loads(body)["data"]["take"]
    assert len(body) < webhook_payload.MAX_BYTES
    assert (len(take["swaps"]), take["people"], take["notes"]) == (40, [], [])


def test_items_of_a_large_batch_become_a_count_and_a_link() -> None:
    batch = a_batch(items=1000)
    claimed = dataclasses.replace(a_claimed(None), type="batch.finished", batch_id=batch.id)

    body = webhook_payload.render_payload(claimed, batch, links=LINKS, emotions=True)

    document, link = json.loads(body), f"/v1/batches/{batch.id}"
    assert len(body) < webhook_payload.MAX_BYTES
    assert document["data"]["succeeded"] == 1000
    assert document["data"]["items"] == {"count": 1000, "url": link}
