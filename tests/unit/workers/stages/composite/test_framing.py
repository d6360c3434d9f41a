from dataclasses import replace

import pytest

from smart_filter_shared.recipe import Format, Framing, Length, Output
from smart_filter_shared.recipe.fields import parse
from smart_filter_shared.results import Face, Frame
from smart_filter_tests.composite_jobs import a_job, composite, decode_pixels
from smart_filter_workers.results import CompositeResult
from smart_filter_workers.stages.composite import framing
from smart_filter_workers.stages.composite.framing import FramingSubject, Rectangle

PHOTO = Rectangle(0, 0, 1200, 800)
# A person in the middle who is cut off below, and one who is entirely visible.
BUST = Rectangle(450, 200, 750, 800)
WHOLE = Rectangle(500, 250, 700, 750)


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
    subject: Rectangle | None = BUST,
    faces: tuple[Face, ...] = (),
    *,
    may_extend: bool = True,
) -> Frame:
    seen = FramingSubject(photo=PHOTO, subject=subject, faces=faces, may_extend=may_extend)
    return framing.compute_frame(asked(**fields), seen)


def shown(fields: dict[str, str], subject: Rectangle | None = BUST, *faces: Face) -> Rectangle:
    """Return the part of the photo's plane that the frame shows."""
    return window(framed(fields, subject, faces))


def window(frame: Frame) -> Rectangle:
    left, top = -frame.left / frame.scale, -frame.top / frame.scale
    return Rectangle(left, top, left + frame.width / frame.scale, top + frame.height / frame.scale)


@pytest.mark.parametrize(
    ("margin", "subject", "may_extend", "expected"),
    [
        ("0px", WHOLE, True, WHOLE),
        ("10% 50px 20px 25%", WHOLE, True, Rectangle(450, 200, 750, 770)),
        # Past the photo above, but not below, where the person is cut off.
        ("100px", Rectangle(450, 20, 750, 800), True, Rectangle(350, -80, 850, 800)),
        ("400px", BUST, False, Rectangle(50, 0, 1150, 800)),
    ],
    ids=["none", "shares and pixels in the order of CSS", "past the photo", "kept background"],
)
def test_crop_is_around_the_people_with_its_margins(
    margin: str, subject: Rectangle, expected: Rectangle, *, may_extend: bool
) -> None:
    frame = framed({"crop": "true", "margin": margin}, subject, may_extend=may_extend)

    assert window(frame) == expected
    size = (expected.right - expected.left, expected.bottom - expected.top)
    assert (frame.width, frame.height) == size


@pytest.mark.parametrize("aspect", ["1:1", "4:5", "9:16", "3:2", "16:9", "2:1"])
@pytest.mark.parametrize("subject", [WHOLE, BUST, Rectangle(0, 100, 1200, 800), PHOTO, None])
@pytest.mark.parametrize("crop", ["false", "true", "faces"])
@pytest.mark.parametrize("may_extend", [True, False])
def test_no_shape_shows_a_straight_cut_below_the_people(
    aspect: str, subject: Rectangle | None, crop: str, *, may_extend: bool
) -> None:
    faces = (a_face(560, 240),) if subject is not None else ()

    frame = framed({"aspect": aspect, "crop": crop}, subject, faces, may_extend=may_extend)

    across, down = map(int, aspect.split(":"))
    assert frame.width / frame.height == pytest.approx(across / down, rel=0.01)
    part = window(frame)
    stops = FramingSubject(PHOTO, subject, faces, may_extend=may_extend).stops()
    past = (part.left < -1, part.top < -1, part.right > 1201, part.bottom > 801)
    assert not any(stop and beyond for stop, beyond in zip(stops, past, strict=True))


@pytest.mark.parametrize(("aspect", "people"), [("4:5", 0.84), ("9:16", 0.84), ("1:1", 0.91)])
def test_portrait_has_eyes_at_a_third_and_people_fill_it(aspect: str, people: float) -> None:
    seen = shown(
        {"crop": "faces", "aspect": aspect}, Rectangle(450, 264, 750, 800), a_face(560, 300)
    )

    assert (300 + 0.4 * 80 - seen.top) / seen.height == pytest.approx(1 / 3, abs=0.01)
    assert (seen.bottom - 264) / seen.height == pytest.approx(people, abs=0.01)
    assert seen.middle[0] == pytest.approx(600, abs=2)


@pytest.mark.parametrize("side", [20, 40, 60])
@pytest.mark.parametrize("aspect", ["4:5", "1:1", "16:9", "3:1"])
@pytest.mark.parametrize("faces", [1, 3])
def test_portrait_of_whole_people_ends_at_no_joint(side: int, aspect: str, faces: int) -> None:
    eyes = 150 + 0.4 * side
    people = Rectangle(300, 150 - 0.4 * side, 900, eyes + 8 * side)
    heads = (a_face(400 + 150 * at, 150, side) for at in range(faces))

    seen = shown({"crop": "faces", "aspect": aspect}, people, *heads)

    ends = (seen.bottom - eyes) / side
    # An adult's eyes are at 160 cm, elbows at 105, hips and wrists at 85, knees at 50, ankles at 9.
    assert all(abs(ends - joint) > 0.35 for joint in (2.75, 3.75, 5.5, 7.55)), ends


@pytest.mark.parametrize("aspect", ["4:5", "2:3", "9:16", "1:1"])
@pytest.mark.parametrize("gap", [1.3, 1.8, 2.4])
@pytest.mark.parametrize(("y", "bottom"), [(150, 760), (300, 800), (520, 800)])
def test_row_of_three_fills_a_portrait(aspect: str, gap: float, y: float, bottom: float) -> None:
    faces = [a_face(560 + place * gap * 80, y) for place in (-1, 0, 1)]
    subject = Rectangle(488 - gap * 80, y - 36, 712 + gap * 80, bottom)

    part = shown({"crop": "faces", "aspect": aspect}, subject, *faces)

    heads = Rectangle(560 - gap * 80, y - 36, 640 + gap * 80, y + 80)
    assert part.left < heads.left
    assert part.right > heads.right
    assert part.top < heads.top
    assert heads.width / part.width >= 0.45
    ends = (part.bottom - y - 32) / 80
    cuts = (*framing.CUTS, (bottom - y - 32) / 80, (1.04 * bottom - 0.04 * (y - 36) - y - 32) / 80)
    # Not within half a face of an elbow, hip or knee.
    assert min(abs(ends - cut) for cut in cuts) < 0.5


def test_hat_is_part_of_the_head_and_a_raised_arm_is_not() -> None:
    bare, hat, arm = (
        shown(
            {"crop": "faces", "aspect": "1:1"}, Rectangle(450, top, 750, 800), a_face(500, 300, 200)
        )
        for top in (250, 110, 0)
    )

    assert hat.top < 110 < bare.top
    assert arm.top > 110


def test_people_whom_the_photo_cuts_off_fill_a_tall_picture() -> None:
    group = Rectangle(0, 300, 1200, 800)
    faces = a_face(500, 350), a_face(620, 350)
    whole = Rectangle(100, 300, 1100, 800)

    fills = shown({"crop": "true", "aspect": "4:5"}, group, *faces)
    keeps = shown({"crop": "true", "aspect": "4:5"}, whole, *faces)

    assert 500 / fills.height == pytest.approx(framing.FILLED_SHARE, abs=0.01)
    assert fills.left < 500 - 40, "head and shoulder"
    assert fills.right > 700 + 40
    assert keeps.left <= 100, "whole people lose nothing"
    assert keeps.right >= 1100


def test_face_that_looks_aside_has_room_in_front_in_a_wide_picture() -> None:
    seen = shown({"crop": "faces", "aspect": "16:9"}, BUST, a_face(560, 300, nose=0.9))

    assert (600 - seen.left) / seen.width == pytest.approx(1 / 3, abs=0.02)


@pytest.mark.parametrize("side", [60, 150, 300])
@pytest.mark.parametrize("at", [(300, 60), (900, 380), (20, 200)])
def test_portrait_is_no_larger_than_the_photo_and_shows_the_whole_head(
    at: tuple[int, int], side: int
) -> None:
    bust = Rectangle(max(0, at[0] - side), at[1] - side / 2, min(1200, at[0] + 2 * side), 800)

    seen = shown({"crop": "faces"}, bust, a_face(*at, side))

    assert seen.height <= 801
    assert seen.top <= at[1]
    assert seen.bottom >= at[1] + side
    assert (at[1] + 0.4 * side - seen.top) / seen.height < 0.66


def test_thing_has_its_margin_also_where_it_touches_the_photo() -> None:
    seen = FramingSubject(PHOTO, Rectangle(0, 0, 1200, 800), (), may_extend=True, is_thing=True)

    frame = framing.compute_frame(asked(crop="true", margin="10%"), seen)

    assert window(frame) == Rectangle(-120, -80, 1320, 880)


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


@pytest.mark.parametrize(
    ("position", "across", "down"),
    [("center", 0.5, 0.5), ("100%", 1, 1), ("0% 100%", 0, 1), ("25% 75%", 0.25, 0.75)],
)
def test_position_divides_the_space_around_the_people(
    position: str, across: float, down: float
) -> None:
    frame = framed({"position": position}, WHOLE)

    left, top = frame.place((WHOLE.left, WHOLE.top))
    right, bottom = frame.place((WHOLE.right, WHOLE.bottom))
    assert left == pytest.approx(across * (frame.width - (right - left)), abs=1)
    assert top == pytest.approx(down * (frame.height - (bottom - top)), abs=1)
    assert frame.scale == 1


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
