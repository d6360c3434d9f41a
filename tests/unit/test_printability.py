import math

import cv2
import numpy as np
import pytest

from smart_filter_shared.printability import Printability, Verdict
from smart_filter_tests.portraits import HEIGHT, WIDTH, a_face, a_portrait
from smart_filter_workers.results import Eyes, Face, Frame, Matte8, Srgb8
from smart_filter_workers.stages.composite.printability import verdicts
from smart_filter_workers.stages.composite.printability.assessment import assess
from smart_filter_workers.stages.composite.printability.face_figures import measure, turn_of

WHOLE = Frame(width=WIDTH, height=HEIGHT, scale=1, left=0, top=0)
# What a print of an album takes, so that the size is not what is found fault with.
LARGE = Frame(width=1800, height=1200, scale=1, left=0, top=0)
OPEN, CLOSED = Eyes(left_open=True, right_open=True), Eyes(left_open=False, right_open=False)
UNSEEN = Eyes(left_open=None, right_open=None)
ONE_CLOSED = Eyes(left_open=True, right_open=False)


def judged(
    *faces: Face,
    eyes: tuple[Eyes, ...] = (),
    frame: Frame = LARGE,
    portrait: tuple[Srgb8, Matte8] | None = None,
    matte: Matte8 | None = None,
) -> Printability:
    photo, found = portrait or a_portrait(*faces)
    return assess(
        photo,
        proxy_srgb=photo,
        matte=found if matte is None else matte,
        faces=faces,
        eyes=eyes or (OPEN,) * len(faces),
        frame=frame,
    )


def test_a_sharp_well_lit_face_that_looks_ahead_is_good() -> None:
    printable = judged(a_face())

    assert (printable.verdict, printable.reasons) == (Verdict.GOOD, ())


@pytest.mark.parametrize("blur_px", [1.0, 1.5, 2.0, 3.0])
@pytest.mark.parametrize("noise", [0, 8])
def test_blur_is_measured_in_pixels_whatever_the_noise(blur_px: float, noise: float) -> None:
    face = a_face(width=150)
    photo, _ = a_portrait(face, blur_px=blur_px, noise=noise)

    figures = measure(photo, photo, face)

    # Corners are no straight edges, and parallel ones reach into each other.
    assert figures is not None
    assert figures.blur_px == pytest.approx(blur_px, abs=0.35)


def test_blur_of_one_direction_is_blur() -> None:
    face = a_face(width=150)
    photo, _ = a_portrait(face)
    shaken = np.asarray(cv2.blur(photo, (11, 1)), np.uint8)

    figures = measure(shaken, shaken, face)

    assert figures is not None
    assert figures.blur_px is not None
    assert figures.blur_px > verdicts.SOFT_ABOVE_PX


def test_a_large_face_is_judged_as_large_as_it_is_seen() -> None:
    face = a_face(x=60, y=20, width=320)
    photo, _ = a_portrait(face, blur_px=3)

    figures = measure(photo, photo, face)

    assert figures is not None
    assert figures.blur_px == pytest.approx(1.5, abs=0.35)


def test_a_large_face_measures_alike_in_photo_and_proxy() -> None:
    face = a_face(x=60, y=20, width=320)
    photo, _ = a_portrait(face, blur_px=4)
    proxy = np.asarray(cv2.resize(photo, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))

    small, large = measure(photo, proxy.astype(np.uint8), face), measure(photo, photo, face)

    assert small is not None
    assert large is not None
    assert small.blur_px == pytest.approx(large.blur_px, abs=0.1)


@pytest.mark.parametrize("sigma", [3, 6, 12])
def test_noise_is_measured_in_levels(sigma: float) -> None:
    face = a_face()
    photo, _ = a_portrait(face, noise=sigma)

    figures = measure(photo, photo, face)

    assert figures is not None
    assert figures.noise == pytest.approx(sigma, rel=0.2)


@pytest.mark.parametrize(
    ("level", "verdict"),
    [(60, Verdict.POOR), (95, Verdict.FAIR), (180, Verdict.GOOD), (254, Verdict.POOR)],
)
def test_exposure_of_the_face_decides_not_that_of_the_wall(level: int, verdict: Verdict) -> None:
    face = a_face()

    printable = judged(face, portrait=a_portrait(face, skin=level))

    assert printable.exposure.verdict == verdict


def test_skin_of_which_one_colour_is_cut_off_is_burnt_out() -> None:
    face = a_face()
    photo, matte = a_portrait(face, skin=200)
    red = photo.copy()
    red[..., 0] = np.where(photo[..., 0] == 200, 255, red[..., 0])

    exposure = judged(face, portrait=(red, matte)).exposure

    assert (exposure.verdict, exposure.text) == (Verdict.POOR, "The face is burnt out.")
    assert exposure.faces_bright == 0
    assert exposure.faces_clipped == pytest.approx(0.9, abs=0.1)


@pytest.mark.parametrize(
    ("factor", "least", "most"), [(1, 1, 1), (3, 0.4, 0.9), (6, 0.15, 0.4), (0.5, 1, 1)]
)
def test_an_enlarged_photo_shows_no_more_than_before(
    factor: float, least: float, most: float
) -> None:
    face = a_face()
    photo, matte = a_portrait(face, blur_px=0.6)
    large = np.asarray(cv2.resize(photo, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC))
    frame = Frame(round(factor * WIDTH), round(factor * HEIGHT), scale=1, left=0, top=0)

    size = assess(
        large.astype(np.uint8), proxy_srgb=photo, matte=matte, faces=(), eyes=(), frame=frame
    ).size

    assert least <= size.detail <= most


def test_detail_is_that_of_the_people_not_of_what_they_stood_before() -> None:
    face = a_face(x=60, y=20, width=320)
    photo, matte = a_portrait(face, blur_px=4)
    photo[:100, :, 1] = np.indices((100, WIDTH)).sum(axis=0) // 4 % 2 * 255

    size = judged(face, portrait=(photo, matte), frame=WHOLE).size

    assert size.detail < 0.5


def test_a_photo_that_is_shrunk_shows_all_that_its_pixels_can() -> None:
    face = a_face()
    photo, matte = a_portrait(face, blur_px=3)
    half = Frame(WIDTH // 4, HEIGHT // 4, scale=0.25, left=0, top=0)

    assert judged(face, portrait=(photo, matte), frame=half).size.detail == 1


def test_noise_is_told() -> None:
    face = a_face()

    printable = judged(face, portrait=a_portrait(face, noise=7))

    assert printable.noise.verdict == Verdict.FAIR
    assert "Some noise shows." in printable.reasons


def test_people_are_named_by_their_number() -> None:
    faces = a_face(x=40, width=100), a_face(x=260, width=100), a_face(x=480, width=100, turn=0.8)

    printable = judged(*faces, eyes=(OPEN, CLOSED, UNSEEN))

    assert printable.looks is not None
    assert printable.looks.text == "Person 2 blinks, person 3 looks away."
    assert printable.looks.verdict == Verdict.FAIR


def test_when_half_of_the_people_blink_it_is_poor() -> None:
    faces = a_face(x=40, width=100), a_face(x=260, width=100)

    printable = judged(*faces, eyes=(CLOSED, ONE_CLOSED))

    assert printable.looks is not None
    assert printable.looks.text == "Person 1 blinks, person 2 has one eye closed."
    assert (printable.looks.verdict, printable.verdict) == (Verdict.POOR, Verdict.POOR)


def test_whoever_stands_far_behind_may_blink() -> None:
    faces = a_face(x=40, width=60), a_face(x=260, width=160)

    printable = judged(*faces, eyes=(CLOSED, OPEN))

    assert printable.looks is not None
    assert printable.looks.blinking == ()
    assert [(face.blinks, face.counts) for face in printable.faces] == [
        (True, False),
        (False, True),
    ]


def test_who_is_not_kept_is_not_judged_and_others_keep_their_numbers() -> None:
    faces = a_face(x=40, width=100), a_face(x=260, width=100)
    _, matte = a_portrait(faces[1])

    printable = judged(*faces, eyes=(OPEN, CLOSED), matte=matte)

    assert [face.person for face in printable.faces] == [2]
    assert printable.looks is not None
    assert printable.looks.text == "The person blinks."


def test_who_is_cropped_away_is_not_judged() -> None:
    faces = a_face(x=40, width=100), a_face(x=260, width=100)
    frame = Frame(width=300, height=HEIGHT, scale=1, left=-200, top=0)

    printable = judged(*faces, frame=frame)

    assert [face.person for face in printable.faces] == [2]


@pytest.mark.parametrize(
    ("frame", "share", "verdict"),
    [
        (WHOLE, 120 / HEIGHT, Verdict.GOOD),
        (Frame(width=WIDTH, height=300, scale=1, left=0, top=-120), 0.0, Verdict.FAIR),
        (Frame(width=WIDTH, height=300, scale=0.5, left=0, top=120), 0.6, Verdict.FAIR),
    ],
)
def test_head_room_is_that_of_the_final_crop(frame: Frame, share: float, verdict: Verdict) -> None:
    printable = judged(a_face(y=120), frame=frame)

    assert printable.head_room is not None
    assert printable.head_room.share == pytest.approx(share, abs=0.01)
    assert printable.head_room.verdict == verdict


def test_enlarging_adds_no_pixels() -> None:
    printable = judged(a_face(), frame=Frame(4 * WIDTH, 4 * HEIGHT, 4, 0, 0))

    assert (printable.size.width, printable.size.height) == (WIDTH, HEIGHT)


def test_without_faces_the_photo_is_judged() -> None:
    printable = judged(portrait=a_portrait(noise=12), frame=WHOLE)

    assert (printable.sharpness, printable.looks, printable.head_room) == (None, None, None)
    assert printable.exposure.faces_dark is None
    assert printable.noise.verdict == Verdict.POOR
    assert printable.reasons[0] == "It is very noisy."


@pytest.mark.parametrize("box", [(-900, 10, 50, 60), (700, 10, 50, 60), (10, 10, 0.4, 0.4)])
def test_a_face_without_pixels_is_passed_over(box: tuple[float, float, float, float]) -> None:
    face = Face(box=box, score=0.9, landmarks=a_face().landmarks)

    photo, _ = a_portrait()
    figures = measure(photo, photo, face)

    assert figures is None or figures.blur_px is None


def test_a_tilted_head_is_not_turned() -> None:
    upright, turned = a_face(turn=0.1), a_face(turn=0.7)

    turns = [turn_of(tilted(face, degrees)) for face in (upright, turned) for degrees in (0, 35)]

    assert turns == pytest.approx([0.1, 0.1, 0.7, 0.7], abs=1e-6)


def tilted(face: Face, degrees: float) -> Face:
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    points = [(x * cosine - y * sine, x * sine + y * cosine) for x, y in face.landmarks]
    return Face(face.box, face.score, tuple(points))  # type: ignore[arg-type]  # five of them


def test_a_small_face_is_not_taken_for_noise() -> None:
    face = a_face(width=40)

    printable = judged(face, portrait=a_portrait(face))

    assert printable.faces[0].noise is None
    assert printable.noise.verdict == Verdict.GOOD


def test_who_looks_away_is_not_said_to_blink() -> None:
    printable = judged(a_face(turn=0.8), eyes=(CLOSED,))

    assert printable.looks is not None
    assert printable.looks.text == "The person looks away."
    assert printable.faces[0].blinks is True
