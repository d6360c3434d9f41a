from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from smart_filter_shared.catalog.scalars import Scalar
from smart_filter_shared.errors import NoPerson
from smart_filter_shared.recipe import Framing, Output, PersonSelection, Recipe
from smart_filter_shared.recipe.framing import read_roi
from smart_filter_shared.results import Face
from smart_filter_tests.pictures import a_figure, noise, prepared_photo
from smart_filter_wire.findings import PersonRole
from smart_filter_workers.networks.coordinates import Square
from smart_filter_workers.results import (
    Bools,
    Bytes,
    Floats,
    Matte8,
    PreparedPhoto,
    Segmentation,
    Srgb8,
)
from smart_filter_workers.stages.segmentation import stage
from smart_filter_workers.stages.segmentation.mattes.edges import refine_edges
from smart_filter_workers.stages.segmentation.mattes.fusion import add_faces, remove_bystanders
from smart_filter_workers.stages.segmentation.models.base import People, Segmenter, Step
from smart_filter_workers.stages.segmentation.models.grabcut import CARD as GRABCUT
from smart_filter_workers.stages.segmentation.models.grabcut import GrabCut
from smart_filter_workers.stages.segmentation.models.isnet import Salient, drop_guesses
from smart_filter_workers.stages.segmentation.people import separation
from smart_filter_workers.stages.segmentation.people.person_selection import (
    select_subject_faces,
    split_bystanders,
)
from smart_filter_workers.stages.segmentation.people.persons import Person, is_upright
from smart_filter_workers.stages.segmentation.seeds import parse_box, parse_strokes
from smart_filter_workers.stages.segmentation.stage import Inputs

GRAY = np.full((256, 256, 3), 128, np.uint8)


def run_stage(people: People, recipe: Recipe, **photo: object) -> Segmentation:
    """Run the stage on a photo in which a model sees these people."""
    height, width = people.matte.shape
    prepared = replace(prepared_photo(noise(height, width)), **photo)  # type: ignore[arg-type]
    (segmented,) = stage.run({"segmentation": lambda _: [people]}, [Inputs(prepared, recipe)])
    return segmented


def a_matte(share: float) -> Matte8:
    matte = np.zeros(10_000, np.uint8)
    matte[: round(share * 10_000)] = 255
    return matte.reshape(100, 100)


INSIDE, CORNER, WHOLE = np.s_[100:200, 100:200], np.s_[10:40, 10:40], np.s_[:, :]


def test_required_person_fills_half_a_percent() -> None:
    required = Recipe(require_person=True)

    enough, none, little = (
        run_stage(People(a_matte(share), persons=None), required) for share in (0.005, 0.0, 0.0049)
    )

    stage.require_person(enough, required)
    stage.require_person(none, Recipe())
    with pytest.raises(NoPerson, match=r"^no person was found.* 0\.49%"):
        stage.require_person(little, required)


def test_evidence_of_persons_who_are_not_selected_is_left_out() -> None:
    left, right = (np.zeros((100, 100), np.uint8) for _ in range(2))
    left[20:80, 20:30] = right[20:80, 70:80] = 255
    evidence = np.full((100, 100), 60, np.uint8)
    people = People(left + right, persons=(left, right), evidence=evidence)

    everyone, first = (
        run_stage(people, Recipe(persons=selected)).evidence
        for selected in (PersonSelection.ALL, (1,))
    )

    assert everyone is not None
    assert first is not None
    np.testing.assert_array_equal(everyone, np.maximum(evidence, left + right))
    np.testing.assert_array_equal(first[:, :49], everyone[:, :49])
    assert not first[:, 51:].any()


@pytest.mark.parametrize(("share", "persons"), [(0.0049, 0), (0.005, 1)])
def test_person_smaller_than_the_minimum_is_none(share: float, persons: int) -> None:
    matte = a_matte(share)

    assert run_stage(People(matte, persons=(matte,)), Recipe()).persons == persons


@pytest.mark.parametrize(
    "persons", [PersonSelection.MAIN, PersonSelection.FRONT, PersonSelection.LARGEST, (1,)]
)
def test_chosen_person_is_kept_whatever_its_size(
    persons: PersonSelection | tuple[int, ...],
) -> None:
    mattes = [np.zeros((100, 100), np.uint8) for _ in range(3)]
    for place, matte in enumerate(mattes):
        matte[40:46, 40 + 15 * place : 45 + 15 * place] = 255

    segmented = run_stage(People(np.maximum.reduce(mattes), tuple(mattes)), Recipe(persons=persons))

    assert segmented.coverage == pytest.approx(0.009)
    assert segmented.persons
    assert segmented.matte.any()


@pytest.mark.parametrize(
    ("levels", "seen", "expected"),
    [
        ([(INSIDE, 1), (CORNER, 0.45)], np.s_[:60, :60], 0),
        ([(np.s_[50:200, 50:200], 1), (np.s_[110:130, 110:130], 0.55)], np.s_[70:180, 70:180], 255),
        ([(WHOLE, 1), (np.s_[60:70, 60:70], 0.45)], np.s_[50:80, 50:80], 255),
        ([(WHOLE, 1), (np.s_[180:190, 180:190], 0)], np.s_[185, 185], 0),
        ([(WHOLE, 0.45), (INSIDE, 1)], np.s_[:80], 0),
    ],
    ids=["faint ghost", "faint hole", "shallow hole", "sure hole", "background nowhere sure"],
)
def test_doubtful_parts_follow_their_surroundings(
    levels: list[tuple[object, float]], seen: object, expected: int
) -> None:
    matte = np.zeros((256, 256), np.float32)
    for part, level in levels:
        matte[part] = level

    assert (refine_edges(matte, GRAY)[seen] == expected).all()


HEIGHT, WIDTH = 40, 60


def column(left: int, right: int) -> Bools:
    outline = np.zeros((HEIGHT, WIDTH), np.bool_)
    outline[10:30, left:right] = True
    return outline


def matte_of(*outlines: Bools) -> Matte8:
    return np.where(np.logical_or.reduce(outlines), np.uint8(255), np.uint8(0))


@pytest.mark.parametrize(
    ("persons", "number", "levels", "needs_review"),
    [
        (PersonSelection.ALL, 1, [255, 0], True),
        (PersonSelection.LARGEST, 1, [255, 0], True),
        ((1,), 1, [255, 0], False),
        ((1, 2), 2, [255, 255], False),
        ((2,), 1, [0, 255], False),
    ],
)
def test_what_may_be_a_person_is_kept_by_its_number_only(
    persons: PersonSelection | tuple[int, ...],
    number: int,
    levels: list[int],
    *,
    needs_review: bool,
) -> None:
    sure, possible = matte_of(column(20, 40)), matte_of(column(2, 8))
    people = People(sure, persons=(sure,), possible=(possible,))

    result = run_stage(people, Recipe(persons=persons))

    assert result.persons == number
    assert result.matte[20, [25, 5]].tolist() == levels
    assert [(person.number, person.role) for person in result.found or ()] == [
        (1, PersonRole.SUBJECT),
        (2, PersonRole.POSSIBLE),
    ]
    assert result.needs_review is needs_review


@pytest.mark.parametrize(
    ("persons", "facing", "number", "levels"),
    [
        (PersonSelection.ALL, True, 1, [255, 0]),
        (PersonSelection.MAIN, True, 1, [255, 0]),
        ((1, 2), True, 2, [255, 255]),
        # In sports, few face the camera.
        (PersonSelection.ALL, False, 2, [255, 255]),
    ],
)
def test_bystander_of_a_person_with_a_face_is_kept_by_its_number_only(
    persons: PersonSelection | tuple[int, ...], number: int, levels: list[int], *, facing: bool
) -> None:
    person, passer_by = matte_of(column(20, 40)), matte_of(column(54, 58))
    face = Face((28, 11, 4, 4), 0.9, ((28, 12), (32, 12), (30, 13), (29, 14), (31, 14)))
    people = People(person + passer_by, persons=(person, passer_by))

    result = run_stage(people, Recipe(persons=persons), proposals=(face,) if facing else ())

    assert result.persons == number
    assert result.matte[20, [25, 56]].tolist() == levels
    roles = [person.role for person in result.found or ()]
    assert roles == [PersonRole.SUBJECT, PersonRole.BYSTANDER if facing else PersonRole.SUBJECT]
    assert result.evidence is not None
    # Only who is named has others blurred.
    assert (result.evidence[20, 56] > 0) == (persons != PersonSelection.MAIN)


def test_only_possible_person_can_be_cut_out() -> None:
    empty, possible = matte_of(np.zeros((HEIGHT, WIDTH), np.bool_)), matte_of(column(2, 8))
    people = People(empty, persons=(), possible=(possible,))

    none, chosen = (
        run_stage(people, Recipe(persons=selected)) for selected in (PersonSelection.ALL, (1,))
    )

    assert (none.persons, none.coverage) == (0, 0.0)
    assert chosen.persons == 1
    assert chosen.coverage == pytest.approx(0.05)


def test_hidden_person_is_neither_counted_nor_numbered() -> None:
    hidden, seen = column(2, 8), column(20, 40)
    matte = matte_of(seen)
    matte[:, 2:8] = 40  # a faint trace, as the edges of a matte leave it
    people = People(matte, separation.split_by_person(matte, [hidden, seen]))

    result = run_stage(people, Recipe(persons=(1,)))

    assert result.persons == 1
    assert [(person.number, person.kept) for person in result.found or ()] == [(1, True)]


def test_every_person_has_a_matte_of_the_whole_size() -> None:
    matte = np.full((2 * HEIGHT, 2 * WIDTH), 255, np.uint8)
    nothing = np.zeros((HEIGHT, WIDTH), np.bool_)

    left, right = separation.split_by_person(matte, [column(5, 15), column(40, 50)])

    assert (left[40, 20], right[40, 90]) == (255, 255)
    assert len(separation.split_by_person(matte, [nothing, nothing])) == 1
    assert np.array_equal(separation.split_by_person(matte, [column(5, 15)]), [matte])


@pytest.mark.parametrize(
    ("persons", "roi", "number", "levels"),
    [
        (PersonSelection.ALL, None, 3, [255, 255, 255]),
        (PersonSelection.LARGEST, None, 1, [0, 255, 0]),
        # Numbered from the left.
        ((1, 3), None, 2, [255, 0, 255]),
        ((7,), None, 0, [0, 0, 0]),
        (PersonSelection.ALL, "0% 0% 50% 100%", 2, [255, 255, 0]),
        # A sleeve that reaches into the region is no person.
        (PersonSelection.ALL, "9px 0px 50px 40px", 1, [0, 255, 0]),
        (PersonSelection.ALL, "90px 0px 900px 40px", 0, [0, 0, 0]),
        (PersonSelection.ALL, "0px 35px 100% 99999px", 0, [0, 0, 0]),
    ],
)
def test_persons_are_kept_by_choice_and_region(
    persons: PersonSelection | tuple[int, ...], roi: str | None, number: int, levels: list[int]
) -> None:
    # The second of three persons is the largest.
    outlines = [column(2, 8), column(20, 40), column(50, 55)]
    people = People(matte_of(*outlines), tuple(matte_of(outline) for outline in outlines))
    region = Framing() if roi is None else Framing(roi=read_roi(roi))

    result = run_stage(people, Recipe(persons=persons, framing=region))

    assert result.persons == number
    assert result.matte[20, [5, 25, 52]].tolist() == levels
    assert bool(result.coverage) == bool(number)


def test_steps_are_one_picture_on_demand() -> None:
    color = noise(30, 20)
    people = People(
        matte_of(column(2, 8)), None, steps=(Step("photo", color), Step("gray", color[..., 0]))
    )

    shown = run_stage(people, Recipe(outputs=(Output.DEBUG,)))

    assert shown.debug is not None
    assert shown.debug.content.startswith(b"\x89PNG")


ROWS, COLUMNS = 120, 160
BLACK = np.zeros((ROWS, COLUMNS, 3), np.uint8)
A_FACE = (70.0, 30.0, 90.0, 50.0)


def a_person(left: int, top: int, width: int, height: int, *, boxed: bool = False) -> Person:
    """Return a person who fills a box of a picture of 160 × 120 pixels."""
    coverage = np.zeros((ROWS, COLUMNS), np.float32)
    coverage[top : top + height, left : left + width] = 1
    region = (slice(top, top + height), slice(left, left + width))
    return Person(
        coverage, coverage > 0.5, region, width * height, presence=1.0, certain=True, boxed=boxed
    )


def _halves(srgb: Bytes) -> Floats:
    """Find a person in the left four fifths of any picture."""
    seen = np.zeros(srgb.shape[:2], np.float32)
    seen[:, : srgb.shape[1] * 4 // 5] = 1
    return seen


MAIN, FAR, CHILD = a_person(50, 10, 50, 100), a_person(5, 40, 10, 30), a_person(5, 40, 20, 30)
CROWD = [a_person(left, 50, 10, 30) for left in (0, 40, 80, 120)]
FACES_ALIKE = [(65.0, 12.0, 85.0, 32.0), (8.0, 42.0, 22.0, 56.0)]


@pytest.mark.parametrize(
    ("persons", "faces", "staying", "bystanders"),
    [
        ([MAIN, FAR], [], [MAIN], [FAR]),
        # The small face is as large as the other.
        ([MAIN, CHILD], FACES_ALIKE, [MAIN, CHILD], []),
        (CROWD, [], CROWD, []),
    ],
    ids=["small behind large", "child", "crowd"],
)
def test_small_person_behind_a_large_one_is_a_bystander(
    persons: list[Person],
    faces: list[tuple[float, float, float, float]],
    staying: list[Person],
    bystanders: list[Person],
) -> None:
    assert split_bystanders(persons, select_subject_faces(faces)) == (staying, bystanders)


def test_small_face_belongs_to_a_group_but_not_behind_one_person() -> None:
    near = [(left, 20.0, left + 40.0, 60.0) for left in (0.0, 40.0, 80.0)]
    far = (120.0, 30.0, 130.0, 45.0)

    assert select_subject_faces([near[1], far]) == [near[1]]
    assert select_subject_faces([*near, far]) == [*near, far]


def test_face_outside_of_the_matte_is_added_with_its_body() -> None:
    matte = np.zeros((ROWS, COLUMNS), np.float32)

    (outline,) = add_faces(_halves, BLACK, [A_FACE], matte)

    assert outline[40, 80]
    assert matte[40, 80] == 1
    assert matte[:, 130:].max() == 0


def test_bystanders_are_removed_except_in_front_of_a_person() -> None:
    far = a_person(90, 40, 40, 30)

    rest = remove_bystanders(np.ones((ROWS, COLUMNS), np.float32), MAIN.coverage, [far])

    assert rest[50, 95] == 1, "of the person in front"
    assert rest[50, 115] == 0, "of the bystander"
    assert rest[5, 5] == 1, "of neither"


def test_bystander_of_a_box_alone_may_be_a_part_of_a_subject() -> None:
    whole = np.ones((ROWS, COLUMNS), np.float32)

    rest = remove_bystanders(whole, MAIN.coverage, [a_person(120, 40, 20, 30, boxed=True)])

    assert np.array_equal(rest, whole)


FIGURE = prepared_photo(a_figure())
FACE = Face(box=(125.0, 90.0, 110.0, 140.0), score=0.9, landmarks=((0.0, 0.0),) * 5)
FIGURE_HEIGHT, FIGURE_WIDTH = FIGURE.proxy_srgb.shape[:2]
EMPTY = np.zeros((FIGURE_HEIGHT, FIGURE_WIDTH), np.uint8)


def seeing(matte: Matte8) -> Callable[[str], Segmenter]:
    def see(batch: Sequence[PreparedPhoto]) -> list[People]:
        return [People(matte, persons=None) for _ in batch]

    return lambda _: see


def a_rough_matte() -> Matte8:
    """Return a matte of the figure that is some pixels too narrow at the head."""
    matte = EMPTY.copy()
    matte[85:240, 124:236] = 255
    matte[300:, 76:284] = 255
    return matte


def grabbed(photo: PreparedPhoto, matte: Matte8, **given: Scalar) -> Matte8:
    (people,) = GrabCut(seeing(matte))([photo], parameters=GRABCUT.completed(given))
    return people.matte


STROKES_FORM, BOX_FORM = r"keep 120,80 140,95; remove 10,10 50,50", "a box x,y,width,height"
WRONG_STROKES = "keep|keep 1|draw 1,2|keep 1,2;;|keep -1,2|keep 1,2 remove 3,4"
WRONG_BOXES = "1,2,3|1,2,3,0|a,b,c,d|1,2,3,4,5|-1,2,3,4"


@pytest.mark.parametrize(
    ("parse", "text", "form"),
    [
        *((parse_strokes, text, STROKES_FORM) for text in WRONG_STROKES.split("|")),
        *((parse_box, text, BOX_FORM) for text in WRONG_BOXES.split("|")),
    ],
)
def test_malformed_text_is_refused_with_the_expected_format(
    parse: Callable[[str], object], text: str, form: str
) -> None:
    with pytest.raises(ValueError, match=form):
        parse(text)


def test_card_refuses_a_long_text_of_strokes_quickly() -> None:
    with pytest.raises(ValueError, match="strokes such as"):
        GRABCUT.parameter("strokes").read_value("keep 1,1" + " 1,1" * 900 + "!")


WITH_FACE = replace(FIGURE, proposals=(FACE,))
AROUND = "keep 180,120 180,460 120,440 240,440; remove 20,20 20,470"
ALL_AROUND = AROUND + "; remove 20,20 340,20"
HEADLESS = a_rough_matte()
HEADLESS[:290] = 0


@pytest.mark.parametrize(
    ("photo", "matte", "given", "inside", "outside"),
    [
        # The cheek next to the matte.
        (FIGURE, a_rough_matte(), {}, [(160, 121)], [(20, 20)]),
        # Outside: the wall within the box.
        (FIGURE, EMPTY, {"box": "40,40,280,440"}, [(160, 180), (460, 180)], [(60, 60)]),
        (WITH_FACE, EMPTY, {}, [(160, 180), (440, 180)], [(20, 20)]),
        (FIGURE, EMPTY, {"seed": "strokes", "strokes": ALL_AROUND}, [(180, 180)], [(40, 40)]),
        (FIGURE, HEADLESS, {}, [(400, 180)], [(160, 180)]),
        # The second: not touched by the stroke, but of its color.
        (
            FIGURE,
            HEADLESS,
            {"strokes": "keep 180,110 180,220"},
            [(160, 180), (150, 140)],
            [(40, 40)],
        ),
    ],
    ids=["rough matte", "box", "face", "strokes", "headless matte", "stroke corrects a matte"],
)
def test_figure_is_found_from_its_seeds(
    photo: PreparedPhoto,
    matte: Matte8,
    given: dict[str, Scalar],
    inside: list[tuple[int, int]],
    outside: list[tuple[int, int]],
) -> None:
    seen = grabbed(photo, matte, **given)

    assert [seen[place] for place in inside] == [255] * len(inside)
    assert [seen[place] for place in outside] == [0] * len(outside)


def test_part_that_is_nowhere_sure_is_dropped_with_the_haze() -> None:
    coverage = np.full((40, 60), 0.04, np.float32)
    thing, jar = (slice(5, 30), slice(5, 20)), (slice(5, 30), slice(40, 50))
    coverage[thing], coverage[jar] = 0.95, 0.6
    coverage[5:30, 20:23] = 0.3  # its soft edge

    kept = drop_guesses(coverage)

    assert (kept[thing] == coverage[thing]).all()
    assert (kept[5:30, 20:23] == coverage[5:30, 20:23]).all()
    assert not kept[jar].any()
    assert not kept[35:].any()


def test_glass_that_is_nowhere_sure_stays() -> None:
    coverage = np.zeros((40, 60), np.float32)
    coverage[5:30, 5:20] = 0.6

    assert (drop_guesses(coverage) == coverage).all()


@pytest.mark.parametrize(
    ("edge", "margin", "looks"),
    [(1.0, 40, [(100, 100)]), (0.5, 40, [(100, 100), (40, 40)]), (0.5, 2, [(100, 100)])],
    ids=["sure", "unsure", "unsure across the picture"],
)
def test_thing_with_an_unsure_outline_is_looked_at_closely(
    edge: float, margin: int, looks: list[tuple[int, int]]
) -> None:
    seen: list[tuple[int, ...]] = []

    def network(srgb: Srgb8) -> Floats:
        seen.append(srgb.shape[:2])
        coverage = np.zeros(srgb.shape[:2], np.float32)
        coverage[margin:-margin, margin:-margin] = edge
        coverage[45:55, 45:55] = 1
        return coverage if len(seen) == 1 else np.ones_like(coverage)

    (result,) = Salient(network)([prepared_photo(noise(100, 100))])

    # The closer look sees the thing with a margin of a tenth and 8 pixels.
    assert seen == looks
    assert (result.matte[30:70, 30:70] == 255).all() == (len(looks) > 1)


@pytest.mark.parametrize(
    ("angle", "upright"), [(-0.8, True), (6.0, True), (1.6, False), (3.12, False)]
)
def test_body_is_upright_if_its_head_is_well_above_its_hips(angle: float, *, upright: bool) -> None:
    body = Square(center=(100.0, 100.0), side=80.0, angle=angle)

    assert is_upright(body) is upright
