from dataclasses import replace

import pytest

from smart_filter_shared.recipe import Format, Framing, Length, Output
from smart_filter_shared.recipe.fields import parse
from smart_filter_shared.results import Face, Frame
from smart_filter_tests.composite_jobs import a_job, composite, decode_pixels
from smart_filter_tests.products import covering
from smart_filter_workers.results import CompositeResult
from smart_filter_workers.stages.composite import framing
from smart_filter_workers.stages.composite.framing import Box, FramingSubject

PHOTO = Box(0, 0, 1200, 800)
# A person in the middle who is cut off below, and one who is entirely visible.
BUST = Box(450, 200, 750, 800)
WHOLE = Box(500, 250, 700, 750)


def asked(**fields: str) -> Framing:
    return parse(fields, offered={}).framing


def a_face(x: float, y: float, side: float = 80, *, nose: float = 0.5) -> Face:
    """Return a face whose box starts there; nose: its place between the eyes."""
    landmarks = (
        (x + 0.3 * side, y + 0.4 * side),
        (x + 0.7 * side, y + 0.4 * side),
        (x + (0.3 + 0.4 * nose) * side, y + 0.6 * side),
        (x + 0.35 * side, y + 0.8 * side),
        (x + 0.65 * side, y + 0.8 * side),
    )
    return Face((x, y, side, side), 0.9, landmarks)


def framed(
    fields: dict[str, str],
    subject: Box | None = BUST,
    faces: tuple[Face, ...] = (),
    *,
    may_extend: bool = True,
) -> Frame:
    seen = FramingSubject(photo=PHOTO, subject=subject, faces=faces, may_extend=may_extend)
    return framing.compute_frame(asked(**fields), seen)


def shown(fields: dict[str, str], subject: Box | None = BUST, *faces: Face) -> Box:
    """Return the part of the photo's plane that the frame shows."""
    return window(framed(fields, subject, faces))


def window(frame: Frame) -> Box:
    left, top = -frame.left / frame.scale, -frame.top / frame.scale
    return Box(left, top, left + frame.width / frame.scale, top + frame.height / frame.scale)


@pytest.mark.parametrize(
    ("margin", "subject", "may_extend", "expected"),
    [
        ("0px", WHOLE, True, WHOLE),
        ("10% 50px 20px 25%", WHOLE, True, Box(450, 200, 750, 770)),
        # Past the photo above, but not below, where the person is cut off.
        ("100px", Box(450, 20, 750, 800), True, Box(350, -80, 850, 800)),
        ("400px", BUST, False, Box(50, 0, 1150, 800)),
    ],
    ids=["none", "shares and pixels in the order of CSS", "past the photo", "kept background"],
)
def test_crop_is_around_the_people_with_its_margins(
    margin: str, subject: Box, expected: Box, *, may_extend: bool
) -> None:
    frame = framed({"crop": "true", "margin": margin}, subject, may_extend=may_extend)

    assert window(frame) == expected
    size = (expected.right - expected.left, expected.bottom - expected.top)
    assert (frame.width, frame.height) == size


@pytest.mark.parametrize(
    ("aspect", "subject", "crop", "may_extend"),
    covering(
        ["1:1", "4:5", "9:16", "3:2", "16:9", "2:1"],
        [WHOLE, BUST, Box(0, 100, 1200, 800), PHOTO, None],
        ["false", "true", "faces"],
        [True, False],
    ),
)
def test_no_shape_shows_a_straight_cut_below_the_people(
    aspect: str, subject: Box | None, crop: str, *, may_extend: bool
) -> None:
    faces = (a_face(560, 240),) if subject is not None else ()

    frame = framed({"aspect": aspect, "crop": crop}, subject, faces, may_extend=may_extend)

    across, down = map(int, aspect.split(":"))
    assert frame.width / frame.height == pytest.approx(across / down, rel=0.01)
    part = window(frame)
    stops = FramingSubject(PHOTO, subject, faces, may_extend=may_extend).stops()
    past = (part.left < -1, part.top < -1, part.right > 1201, part.bottom > 801)
    assert not any(stop and beyond for stop, beyond in zip(stops, past, strict=True))


def test_eyes_are_a_third_from_the_top_with_room_above() -> None:
    seen = shown({"crop": "faces", "aspect": "4:5"}, BUST, a_face(560, 300))

    eyes = (300 + 0.4 * 80 - seen.top) / seen.height
    assert 0.3 < eyes < 0.45
    assert seen.top < 300 - 30, "hair and some air"
    assert seen.middle[0] == pytest.approx(600, abs=2)


def test_face_that_looks_aside_has_room_in_front_in_a_wide_picture() -> None:
    seen = shown({"crop": "faces", "aspect": "16:9"}, BUST, a_face(560, 300, nose=0.9))

    assert (600 - seen.left) / seen.width == pytest.approx(1 / 3, abs=0.02)


@pytest.mark.parametrize("side", [60, 150, 300])
@pytest.mark.parametrize("at", [(300, 60), (900, 380), (20, 200)])
def test_portrait_is_no_larger_than_the_photo_and_shows_the_whole_head(
    at: tuple[int, int], side: int
) -> None:
    bust = Box(max(0, at[0] - side), at[1] - side / 2, min(1200, at[0] + 2 * side), 800)

    seen = shown({"crop": "faces"}, bust, a_face(*at, side))

    assert seen.height <= 801
    assert seen.top <= at[1]
    assert seen.bottom >= at[1] + side
    assert (at[1] + 0.4 * side - seen.top) / seen.height < 0.66


def test_crop_has_room_for_the_outline() -> None:
    seen = FramingSubject(PHOTO, WHOLE, (), may_extend=True, outline=Length(2, percent=True))

    frame = framing.compute_frame(asked(crop="true"), seen)

    line = 0.02 * max(frame.width, frame.height)
    assert WHOLE.left - window(frame).left == pytest.approx(line, abs=1)
    assert window(frame).bottom - WHOLE.bottom == pytest.approx(line, abs=1)


def test_scale_is_relative_to_the_picture_and_centers_the_people() -> None:
    frame = framed({"scale": "50%"}, WHOLE)

    left, top = frame.place((WHOLE.left, WHOLE.top))
    right, bottom = frame.place((WHOLE.right, WHOLE.bottom))
    assert (frame.width, frame.height) == (1200, 800)
    assert bottom - top == pytest.approx(400)
    assert (left + right, top + bottom) == pytest.approx((1200, 800))


def test_position_works_as_for_backgrounds_of_css() -> None:
    corner = framed({"position": "0% 100%"}, WHOLE)

    assert corner.place((WHOLE.left, WHOLE.bottom)) == (0, 800)
    assert corner.scale == 1


def test_size_by_name_shrinks_and_never_enlarges() -> None:
    small = framed({"size": "preview"})

    assert small.width * small.height == pytest.approx(250_000, rel=0.01)
    assert framed({"size": "hd"}) == framed({})


# --- through the stage -------------------------------------------------------------------


def composited(background: str, *outputs: Output, **fields: str) -> CompositeResult:
    inputs = a_job(background, format=Format.PNG, outputs=outputs or (Output.IMAGE,))
    return composite(replace(inputs, recipe=replace(inputs.recipe, framing=asked(**fields))))


@pytest.mark.parametrize("background", ["preset:sky", "blur:0.5", "transparent", "keep"])
@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ("16x16", (16, 16)),
        ("100x150", (100, 150)),
        ("16x160", (16, 160)),
        ("700x500", (700, 500)),
        ("print:9x13", (1535, 1063)),
    ],
)
def test_every_background_is_drawn_at_the_size_of_the_picture(
    background: str, size: str, expected: tuple[int, int]
) -> None:
    image = composited(background, size=size).image

    assert (image.width, image.height) == expected
    assert decode_pixels(image, sized=False).shape[1::-1] == expected
