from dataclasses import replace

import numpy as np
import pytest

from smart_filter_shared.catalog.scalars import Scalar
from smart_filter_shared.rating import SmileLevel
from smart_filter_shared.recipe import Filter, Format
from smart_filter_shared.results import Faces, Smile, Smiles
from smart_filter_tests.composite_jobs import HEIGHT, WIDTH, a_job, composite, decode_pixels
from smart_filter_tests.filter_scenes import a_face, a_picture, a_scene, changed_pixels, draw
from smart_filter_tests.subjects import faces_showing
from smart_filter_wire.findings import Eyes
from smart_filter_workers.results import Bools, Matte8
from smart_filter_workers.stages.composite import stage
from smart_filter_workers.stages.composite.filters.drawing import FilterVerdict, Scene
from smart_filter_workers.stages.composite.filters.plugins import caption

# In the middle of the person of `a_job`, and next to it, in the background.
INSIDE, NEXT_TO_PERSON = a_face(120, 90, 16), a_face(30, 90, 12)
NONE, MILD, HUGE = SmileLevel.NONE, SmileLevel.MILD, SmileLevel.HUGE


def differing(seen: Scene, name: str, **params: Scalar) -> tuple[Bools, FilterVerdict]:
    before = a_picture()
    after = before.copy()
    verdict = draw(after, seen, name, **params)
    return changed_pixels(before, after), verdict


def filter_job(*filters: Filter, background: str = "keep") -> stage.Inputs:
    """Make a job for filters, with faces of the light detector."""
    job = a_job(background, format=Format.PNG, filters=filters)
    return replace(job, prepared=replace(job.prepared, proposals=(NEXT_TO_PERSON, INSIDE)))


def rated(job: stage.Inputs, *levels: SmileLevel) -> stage.Inputs:
    return replace(
        job,
        faces=Faces((NEXT_TO_PERSON, INSIDE)[: len(levels)]),
        smiles=Smiles(
            tuple(Smile(level, 0.5) for level in levels),
            (Eyes(left_open=True, right_open=True),) * len(levels),
        ),
    )


def test_filters_apply_to_the_photo_itself_without_a_cutout() -> None:
    job = replace(filter_job(Filter("hat")), segmented=None)

    result = composite(job)

    seen = decode_pixels(result.image)
    assert changed_pixels(job.photo.srgb, seen.astype(np.uint8))[60:70, 110:130].any()
    assert [(filter_.name, filter_.applied) for filter_ in result.filters] == [("hat", True)]


def test_decoded_photo_is_not_modified() -> None:
    """It stays in a cache, for other stages and other jobs."""
    job = filter_job(Filter("grade", {"look": "mono"}), Filter("caption", {"text": "Hi"}))
    before = job.photo.srgb.copy()

    composite(job)

    assert np.array_equal(job.photo.srgb, before)


def test_hat_on_a_cutout_covers_transparent_pixels() -> None:
    plain = decode_pixels(composite(filter_job(background="transparent")).image)

    seen = decode_pixels(
        composite(filter_job(Filter("hat", {"kind": "crown"}), background="transparent")).image
    )

    assert (seen[..., 3] > plain[..., 3]).any()


def test_filters_are_drawn_in_the_requested_order() -> None:
    gray, hat = Filter("grade", {"look": "mono", "strength": 1}), Filter("hat", {"color": "red"})

    hat_grayed = decode_pixels(composite(filter_job(hat, gray)).image)
    hat_in_color = decode_pixels(composite(filter_job(gray, hat)).image)

    def colorful(picture: np.ndarray) -> int:
        return int((picture.max(axis=-1) - picture.min(axis=-1) > 60).sum())

    assert colorful(hat_grayed) == 0
    assert colorful(hat_in_color) > 50


@pytest.mark.parametrize(
    ("smiles", "reason"),
    [
        (
            faces_showing({"surprise": 0.8, "neutral": 0.2}, None),
            "pop: vivid, for a surprised mood",
        ),
        # The first face is 12 pixels from eye to eye; the second 16, and counts more.
        (
            faces_showing({"surprise": 1.0}, {"happiness": 1.0}),
            "sunny: warm and bright, for a joyful mood",
        ),
        (
            faces_showing({"happiness": 1.0}, {"sadness": 1.0}),
            "dusk: faded and blue, for a sad mood",
        ),
    ],
    ids=["surprised", "joyful", "sad"],
)
def test_look_suits_the_mood_of_the_emotions(smiles: Smiles, reason: str) -> None:
    job = replace(rated(filter_job(Filter("grade")), NONE, NONE), smiles=smiles)

    assert composite(job).filters[0].reason == reason


@pytest.mark.parametrize(
    ("levels", "applied", "reason"),
    [
        ([HUGE, MILD], True, "both faces smile"),
        ([HUGE, NONE], False, "face 2 does not smile"),
        ([NONE, NONE], False, "no face smiles"),
        ([NONE], False, "the face does not smile"),
    ],
)
def test_sparkles_need_all_faces_to_smile(
    levels: list[SmileLevel], *, applied: bool, reason: str
) -> None:
    faces = [a_face(60 + 120 * number, 100, 12) for number in range(len(levels))]

    where, verdict = differing(a_scene(faces, smiles=levels), "sparkle")

    assert (verdict.applied, verdict.reason, where.any()) == (applied, reason, applied)


@pytest.mark.parametrize(
    ("who", "columns"),
    [("all", [True] * 3), ("largest", [False, True, False]), ("1, 3", [True, False, True])],
)
def test_chosen_faces_wear_glasses(who: str, columns: list[bool]) -> None:
    faces = [a_face(120, 100, 16), a_face(200, 100, 12), a_face(40, 100, 12)]

    where, _ = differing(a_scene(faces), "glasses", who=who)

    assert [where[:, left : left + 80].any() for left in (0, 80, 160)] == columns


def test_missing_face_number_is_the_reason() -> None:
    verdict = draw(a_picture(), a_scene([INSIDE]), "hat", who="2,3")

    assert (verdict.applied, verdict.reason) == (False, "1 face was found, and none is 2,3")


@pytest.mark.parametrize(("turned", "wears"), [(0.35, True), (-0.35, True), (0.75, False)])
def test_glasses_need_a_nose_that_covers_no_eye(turned: float, *, wears: bool) -> None:
    """Detectors guess the place of a hidden eye, as far off as a visible one."""
    verdict = draw(a_picture(), a_scene([a_face(120, 90, 16, turned=turned)]), "glasses")

    assert verdict.applied == wears
    assert ("turned away" in verdict.reason) != wears


def test_hat_sits_higher_where_the_hair_is_higher() -> None:
    """The upper edge of the matte above the eyes is the top of the head."""
    tops = []
    for crown_row in (66, 50):
        people = np.zeros((HEIGHT, WIDTH), np.uint8)
        people[crown_row:, 80:160] = 255
        where, _ = differing(a_scene([a_face(120, 100, 20)], people=people), "hat", kind="crown")
        tops.append(int(np.flatnonzero(where.any(axis=1))[0]))

    assert tops[1] < tops[0] - 5


@pytest.mark.parametrize("style", ["auto", "plate", "outline"])
@pytest.mark.parametrize("level", [0, 128, 255])
def test_caption_is_readable_on_any_background(level: int, style: str) -> None:
    picture = np.full((180, 240, 3), level, np.uint8)

    draw(picture, a_scene(()), "caption", text="HELLO", style=style)

    luma = picture @ np.array([0.2126, 0.7152, 0.0722])
    assert luma.max() - luma.min() > 100


@pytest.mark.parametrize(("place", "rows"), [("top", slice(0, 80)), ("bottom", slice(100, 180))])
@pytest.mark.parametrize("text", ["Hi", "word " * 23 + "end", "x" * 120])
def test_caption_stays_at_its_border_for_any_length(text: str, place: str, rows: slice) -> None:
    where, _ = differing(a_scene(()), "caption", text=text, place=place)

    assert where[rows].any()
    assert not np.delete(where, rows, axis=0).any()
    assert not where[:, [0, -1]].any()


@pytest.mark.parametrize(
    ("text", "applied", "reason"),
    [
        ("Hello 🎉 you", True, "🎉 left out"),
        ("日本", False, "日 本 left out"),
        ("Hello", True, "at the bottom"),
    ],
)
def test_unsupported_letters_are_named(text: str, *, applied: bool, reason: str) -> None:
    verdict = draw(a_picture(), a_scene(()), "caption", text=text)

    assert verdict.applied == applied
    assert reason in verdict.reason


def written(text: str) -> Matte8:
    return caption.render_lines([text], (80, 300), size=40, line_px=48, thick=0)


@pytest.mark.parametrize(
    ("text", "kept", "missing"),
    [
        ("Hello  you", "Hello you", []),
        ("Žluťoučký kůň, Øre, Łódź, İzmir", "Žluťoučký kůň, Øre, Łódź, İzmir", []),
        ("e\u0301", "é", []),  # composed
        ("Größe – œuvre, Việt Nam", "Größe – œuvre, Việt Nam", []),
        ("¡Feliz!", "¡Feliz!", []),
        ("CO₂", "CO2", []),
        ("a\nb\tc", "a b c", []),
        ("Hi 👩‍👩‍👧!", "Hi !", ["👩", "👧"]),
        ("日本 ok", "ok", ["日", "本"]),
        ("Ω", "", ["Ω"]),
    ],
)
def test_supported_letters_are_kept_and_others_named(
    text: str, kept: str, missing: list[str]
) -> None:
    assert caption.to_writable(text) == (kept, missing)


@pytest.mark.parametrize("letter", "éèêëēĕėẽěẹęÈ")
def test_accent_is_drawn_with_its_letter(letter: str) -> None:
    seen, plain = written(letter), written("E" if letter.isupper() else "e")

    assert seen.astype(int).sum() > plain.astype(int).sum()
