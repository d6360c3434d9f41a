from dataclasses import replace

import cv2
import numpy as np
import pytest

from smart_filter_shared.rating import SmileLevel
from smart_filter_shared.recipe import Output
from smart_filter_shared.results import Face, Faces, Frame, Smile, Smiles
from smart_filter_tests.composite_jobs import a_job, composite
from smart_filter_wire.findings import Eyes
from smart_filter_wire.printability import Printability, Verdict
from smart_filter_workers.measurements import measure_face
from smart_filter_workers.results import Matte8, Srgb8
from smart_filter_workers.stages.composite.printability import verdicts
from smart_filter_workers.stages.composite.printability.assess import assess
from unit.drawn_portrait import HEIGHT, WIDTH, a_face, a_portrait

WHOLE = Frame(width=WIDTH, height=HEIGHT, scale=1, left=0, top=0)
# A print size for albums, so that the picture's size causes no finding.
LARGE = Frame(width=1800, height=1200, scale=1, left=0, top=0)
OPEN, CLOSED = Eyes(left_open=True, right_open=True), Eyes(left_open=False, right_open=False)
UNSEEN = Eyes(left_open=None, right_open=None)
ONE_CLOSED = Eyes(left_open=True, right_open=False)


def judged(
    *faces: Face,
    eyes: tuple[Eyes, ...] = (),
    frame: Frame = LARGE,
    portrait: tuple[Srgb8, Matte8] | None = None,
) -> Printability:
    photo, matte = portrait or a_portrait(*faces)
    return assess(
        photo,
        proxy_srgb=photo,
        matte=matte,
        faces=faces,
        eyes=eyes or (OPEN,) * len(faces),
        frame=frame,
    )


@pytest.mark.parametrize(
    ("width", "noise", "blur_px", "seen_px"),
    [
        *((150, noise, blur_px, blur_px) for noise in (0, 8) for blur_px in (1.0, 1.5, 2.0, 3.0)),
        # A large face is judged at half its size.
        (320, 0, 3.0, 1.5),
    ],
)
def test_blur_is_measured_in_pixels_despite_noise(
    width: int, noise: float, blur_px: float, seen_px: float
) -> None:
    face = a_face(x=60, y=20, width=width)
    photo, _ = a_portrait(face, blur_px=blur_px, noise=noise)

    figures = measure_face(photo, photo, face)

    assert figures is not None
    # Corners are no straight edges, and parallel edges overlap.
    assert figures.blur_px == pytest.approx(seen_px, abs=0.35)


@pytest.mark.parametrize(
    ("level", "verdict"),
    [(60, Verdict.POOR), (95, Verdict.FAIR), (180, Verdict.GOOD), (254, Verdict.POOR)],
)
def test_exposure_is_measured_on_the_face_and_not_the_wall(level: int, verdict: Verdict) -> None:
    face = a_face()

    assert judged(face, portrait=a_portrait(face, skin=level)).exposure.verdict == verdict


@pytest.mark.parametrize(
    ("factor", "least", "most"), [(1, 1, 1), (3, 0.4, 0.9), (6, 0.15, 0.4), (0.5, 1, 1)]
)
def test_enlarged_photo_shows_no_more_detail(factor: float, least: float, most: float) -> None:
    face = a_face()
    photo, matte = a_portrait(face, blur_px=0.6)
    large = np.asarray(cv2.resize(photo, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC))
    frame = Frame(round(factor * WIDTH), round(factor * HEIGHT), scale=1, left=0, top=0)

    size = assess(
        large.astype(np.uint8), proxy_srgb=photo, matte=matte, faces=(), eyes=(), frame=frame
    ).size

    assert least <= size.detail <= most


@pytest.mark.parametrize(
    ("turns", "eyes", "verdict", "text"),
    [
        (
            (0, 0, 0.8),
            (OPEN, CLOSED, UNSEEN),
            Verdict.FAIR,
            "Person 2 blinks, person 3 looks away.",
        ),
        (
            (0, 0),
            (CLOSED, ONE_CLOSED),
            Verdict.POOR,
            "Person 1 blinks, person 2 has one eye closed.",
        ),
        # A blink of a face that looks away is not reported.
        ((0.8,), (CLOSED,), Verdict.FAIR, "The person looks away."),
    ],
)
def test_people_who_blink_or_look_away_are_numbered(
    turns: tuple[float, ...], eyes: tuple[Eyes, ...], verdict: Verdict, text: str
) -> None:
    faces = [a_face(x=40 + 220 * place, width=100, turn=turn) for place, turn in enumerate(turns)]

    printable = judged(*faces, eyes=eyes)

    assert (printable.looks.verdict, printable.looks.text) == (verdict, text)
    assert printable.faces[0].blinks is (eyes[0] is CLOSED)


@pytest.mark.parametrize(
    ("frame", "share", "verdict"),
    [
        (WHOLE, 120 / HEIGHT, Verdict.GOOD),
        (Frame(width=WIDTH, height=300, scale=1, left=0, top=-120), 0.0, Verdict.FAIR),
        (Frame(width=WIDTH, height=300, scale=0.5, left=0, top=120), 0.6, Verdict.FAIR),
    ],
)
def test_head_room_is_measured_in_the_final_crop(
    frame: Frame, share: float, verdict: Verdict
) -> None:
    head_room = judged(a_face(y=120), frame=frame).head_room

    assert head_room.share == pytest.approx(share, abs=0.01)
    assert head_room.verdict == verdict


@pytest.mark.parametrize(
    ("noise", "verdict", "words"),
    [(7, Verdict.FAIR, "Some noise shows."), (12, Verdict.POOR, "It is very noisy.")],
)
def test_photo_without_faces_is_judged_as_a_whole(
    noise: float, verdict: Verdict, words: str
) -> None:
    printable = judged(portrait=a_portrait(noise=noise))

    assert (printable.sharpness, printable.looks, printable.head_room) == (None, None, None)
    assert printable.exposure.faces_dark is None
    assert printable.noise.verdict == verdict
    assert words in printable.reasons


@pytest.mark.parametrize("box", [(-900, 10, 50, 60), (700, 10, 50, 60), (10, 10, 0.4, 0.4)])
def test_face_without_pixels_is_skipped(box: tuple[float, float, float, float]) -> None:
    photo, _ = a_portrait()

    figures = measure_face(photo, photo, Face(box=box, score=0.9, landmarks=a_face().landmarks))

    assert figures is None or figures.blur_px is None


@pytest.mark.parametrize(
    ("size", "at_300", "at_200", "verdict"),
    [
        ((3000, 4000), "A4", "30×45", Verdict.GOOD),
        ((20_000, 15_000), "50×75", "50×75", Verdict.GOOD),
        ((1772, 1181), "10×15", "15×20", Verdict.GOOD),
        ((1771, 1181), "9×13", "15×20", Verdict.FAIR),
        ((1024, 709), None, "9×13", Verdict.FAIR),
        ((1023, 709), None, None, Verdict.POOR),
    ],
)
def test_album_pictures_are_judged_by_the_paper_they_fill(
    size: tuple[int, int], at_300: str | None, at_200: str | None, verdict: Verdict
) -> None:
    printed = verdicts.judge_size(*size)

    assert [print_size.paper for print_size in printed.prints] == [at_300, at_200]
    assert printed.verdict == verdict


@pytest.mark.parametrize(
    ("width", "height", "scale", "photo"),
    [
        # `size=print:10x15` around a photo of 4:3, whole and larger than the print needs.
        (1772, 1181, 1181 / HEIGHT, (WIDTH, HEIGHT)),
        (2 * WIDTH, HEIGHT, 1.0, (WIDTH, HEIGHT)),
        (WIDTH // 2, HEIGHT, 1.0, (WIDTH // 2, HEIGHT)),
        (WIDTH, HEIGHT // 2, 0.5, (WIDTH // 2, HEIGHT // 2)),
    ],
)
def test_size_counts_pixels_of_the_photo_whatever_background_is_around_it(
    width: int, height: int, scale: float, photo: tuple[int, int]
) -> None:
    left, top = (width - scale * WIDTH) / 2, (height - scale * HEIGHT) / 2
    frame = Frame(width, height, scale, left=left, top=top)

    size = judged(a_face(), frame=frame).size

    assert (size.width, size.height) == photo
    assert f"{photo[0]} × {photo[1]} pixels" in size.text
    is_partly = (width, height) != photo
    assert (f"It has {width} × {height} pixels; the photo gives" in size.text) == is_partly
    fine = size.prints[0]
    assert fine.width_cm / fine.height_cm == pytest.approx(width / height, rel=0.05)


def test_every_face_is_in_a_picture_without_a_cutout() -> None:
    job = a_job("color:red", outputs=(Output.IMAGE, Output.PRINTABILITY))
    assert job.segmented is not None
    rated = replace(
        job,
        segmented=replace(job.segmented, matte=job.segmented.matte * 0, coverage=0),
        faces=Faces((a_face(x=90, y=60, width=50),)),
        smiles=Smiles((Smile(SmileLevel.MILD, 0.5),), (CLOSED,)),
    )

    printable = composite(rated).printability

    assert printable is not None
    assert len(printable.faces) == 1
