import dataclasses
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from smart_filter_shared.errors import ImageUnreadable, InputsExpired, PhotoTooSmall
from smart_filter_shared.pipeline import TaskName
from smart_filter_shared.presets import PICTURE, PRESETS, Mood, Preset
from smart_filter_shared.rating import SmileLevel
from smart_filter_shared.recipe import Crop, Edge, Format, Framing, Output, Subject
from smart_filter_shared.recipe.framing import read_roi
from smart_filter_shared.results import Face, Faces, LowerEnd
from smart_filter_tests.composite_jobs import (
    HEIGHT,
    INSIDE,
    OUTSIDE,
    SCALE,
    WIDTH,
    a_job,
    composite,
    decode_pixels,
)
from smart_filter_tests.pictures import encode
from smart_filter_tests.recipes import parse_fields
from smart_filter_tests.subjects import smiles_of
from smart_filter_workers import images
from smart_filter_workers.backgrounds import blur
from smart_filter_workers.backgrounds.library import Collection, DesignSource, StockSource
from smart_filter_workers.opencv import cv2
from smart_filter_workers.resampling import resize
from smart_filter_workers.results import (
    Bytes,
    MatteDrawing,
    Photo,
    PreparedPhoto,
    Segmentation,
    Srgb8,
    Stroke,
)
from smart_filter_workers.stages.composite import apply_corrections, choose_background
from smart_filter_workers.stages.composite.choose_background import infer_mood
from smart_filter_workers.stages.composite.look import NO_LOOK
from smart_filter_workers.stages.composite.stage import Inputs, read_people


@pytest.mark.parametrize(
    "preset",
    [*{preset.family: preset.name for preset in PRESETS}.values(), "hearts", "rainbow+linen"],
)
def test_design_of_each_family_is_drawn_behind_the_people(preset: str) -> None:
    inputs = a_job(f"preset:{preset}", format=Format.PNG, look=NO_LOOK)

    result = composite(inputs)

    seen = decode_pixels(result.image)
    assert np.array_equal(seen[INSIDE], inputs.photo.srgb[INSIDE])
    assert np.abs(seen[OUTSIDE] - inputs.photo.srgb[OUTSIDE]).mean() > 5
    assert (result.background.kind, result.background.name) == ("preset", preset)


@pytest.mark.parametrize("turns", [0, 1])
def test_transparent_parts_of_the_photo_stay_transparent(turns: int) -> None:
    inputs = a_job("transparent", format=Format.PNG, look=NO_LOOK)
    alpha = np.full((HEIGHT, WIDTH), 255, np.uint8)
    alpha[:, : WIDTH // 2] = 0
    srgb, alpha = (np.rot90(plane, -turns).copy() for plane in (inputs.photo.srgb, alpha))
    inputs = replace(
        inputs,
        photo=replace(inputs.photo, srgb=srgb, alpha=alpha),
        prepared=replace(inputs.prepared, quarter_turns=turns),
    )

    shown = decode_pixels(composite(inputs).image)[..., 3]

    assert not shown[:, : WIDTH // 2].any()
    assert shown[:, WIDTH // 2 :].max() == 255


def test_nothing_outside_the_region_is_cut_out() -> None:
    region = Framing(roi=read_roi("0% 50px 50% 100%"))

    result = composite(a_job("transparent", format=Format.PNG, look=NO_LOOK, framing=region))

    alpha = decode_pixels(result.image)[..., 3]
    assert alpha[60:150, 80:120].min() == 255
    assert alpha[:, 120:].max() == 0
    assert alpha[:50].max() == 0


def test_missing_background_is_an_error() -> None:
    with pytest.raises(ValueError, match="needs a background"):
        composite(a_job("file"))


@pytest.mark.parametrize("strength", ["0.05", "0.3", "1"])
def test_people_leave_no_halo_on_the_blurred_background(strength: str) -> None:
    """A person of pure red in front of blue: blurred with the person, blue would turn violet."""
    inputs = a_job(f"blur:{strength}", format=Format.PNG)
    matte = np.zeros((HEIGHT, WIDTH), np.uint8)
    matte[50:, 70:170] = 255
    photo = np.where(matte[..., np.newaxis] > 0, [255, 0, 0], [0, 60, 200]).astype(np.uint8)
    inputs = replace(
        inputs,
        photo=Photo(photo, "png"),
        prepared=replace(inputs.prepared, proxy_srgb=photo),
        segmented=Segmentation(matte=matte, coverage=float((matte > 0).mean())),
    )

    seen = decode_pixels(composite(inputs).image)

    assert np.abs(seen[:, :69] - [0, 60, 200]).max() <= 4


def a_blurred_job(evidence: Bytes) -> Inputs:
    """Make a job that blurs noise, all of it in focus, and shows where people may be."""
    inputs = a_job("blur:1", format=Format.PNG)
    noise = np.random.default_rng(4).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    assert inputs.segmented is not None
    return replace(
        inputs,
        photo=Photo(noise, "png"),
        prepared=replace(inputs.prepared, proxy_srgb=noise),
        segmented=replace(inputs.segmented, evidence=evidence),
    )


def test_blur_keeps_every_pixel_that_may_show_a_person_or_what_one_holds() -> None:
    evidence = np.zeros((HEIGHT // SCALE, WIDTH // SCALE), np.uint8)
    # 5 %: an elbow before a wall that every network only suspects.
    evidence[10:20, 90:115] = 13

    inputs = a_blurred_job(evidence)
    seen = decode_pixels(composite(inputs).image)

    away = np.abs(seen - inputs.photo.srgb)
    assert inputs.segmented is not None
    held = (slice(20, 40), slice(180, 230))
    # Their rim is mixed with what is behind it.
    people = resize(inputs.segmented.matte, width=WIDTH, height=HEIGHT) == 255
    people = cv2.erode(people.view(np.uint8), np.ones((5, 5), np.uint8)) > 0
    assert not away[held].any()
    assert not away[people].any()
    assert away[:, :20].mean() > 40


def test_blur_reaches_up_to_people_whose_matte_was_drawn() -> None:
    inputs = a_blurred_job(np.full((HEIGHT // SCALE, WIDTH // SCALE), 255, np.uint8))
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[60:150, 80:120] = 255
    drawn = (MatteDrawing(mask=mask),)

    seen = decode_pixels(composite(replace(inputs, drawn=drawn)).image)

    assert np.abs(seen - inputs.photo.srgb)[:, :60].mean() > 40


def test_stroke_leaves_people_elsewhere_in_focus() -> None:
    evidence = np.zeros((HEIGHT // SCALE, WIDTH // SCALE), np.uint8)
    evidence[10:20, 90:115] = blur.SEEN_FROM
    inputs = a_blurred_job(evidence)
    kept = Stroke(((20.0, 120.0), (40.0, 120.0)), keep=True, width=16)
    removed = Stroke(((215.0, 20.0), (215.0, 40.0)), keep=False, width=30)

    seen, corrected = (
        decode_pixels(composite(replace(inputs, drawn=drawn)).image)
        for drawn in ((), (MatteDrawing(strokes=(kept, removed)),))
    )

    away = np.abs(corrected - inputs.photo.srgb)
    # What a hand holds left of the removed part, and what the user marks as a part of a person.
    assert not away[20:40, 182:196].any()
    assert not away[117:123, 22:38].any()
    assert not np.abs(seen - inputs.photo.srgb)[20:40, 205:225].any()
    assert away[20:40, 212:225].any()


def test_people_who_are_placed_elsewhere_are_blurred_out_of_their_background() -> None:
    inputs = a_blurred_job(np.full((HEIGHT // SCALE, WIDTH // SCALE), 255, np.uint8))
    smaller = replace(inputs.recipe, framing=Framing(scale=0.5))

    seen = decode_pixels(composite(replace(inputs, recipe=smaller)).image)

    assert np.abs(seen - inputs.photo.srgb)[:, :60].mean() > 40


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (7, 900), (900, 7), (333, 501)])
@pytest.mark.parametrize("background", ["blur:0.01", "blur:1", "file"])
@pytest.mark.parametrize("evidence", [None, np.zeros((1, 1), np.uint8)], ids=["drawn", "seen"])
def test_photos_of_any_size_get_their_background(
    size: tuple[int, int], background: str, evidence: Bytes | None
) -> None:
    width, height = size
    srgb = np.random.default_rng(8).integers(0, 256, (height, width, 3), dtype=np.uint8)
    matte = np.full((height, width), 255, np.uint8)
    matte[: height // 2] = 0
    inputs = replace(
        a_job(background, format=Format.PNG),
        photo=Photo(srgb, "png"),
        background=Photo(srgb[:1, :1], "png"),
        prepared=PreparedPhoto(width, height, "png", proxy_srgb=srgb),
        segmented=Segmentation(matte=matte, coverage=0.5, evidence=evidence),
    )

    result = composite(inputs)

    assert (result.image.width, result.image.height) == size


@pytest.mark.parametrize(
    ("asked", "kind"),
    [
        ({}, "keep"),
        ({"subject": Subject.ANY}, "preset"),
        ({"models": dict.fromkeys(TaskName, "auto") | {TaskName.SEGMENTATION: "isnet"}}, "preset"),
    ],
)
def test_thing_gets_a_background_where_it_was_asked_for(
    asked: dict[str, object], kind: str
) -> None:
    inputs = a_job("auto", **asked)
    assert inputs.segmented is not None

    result = composite(replace(inputs, segmented=replace(inputs.segmented, any_subject=True)))

    assert result.background.kind == kind
    assert result.background.name in {None, *choose_background.LIGHT_PAPERS}


def test_photo_is_not_enlarged_beyond_the_recipe() -> None:
    small = a_job("color:#ffffff", framing=parse_fields(size="4000x4000", max_enlarge="2").framing)

    with pytest.raises(PhotoTooSmall, match=r"enlarges the photo .* max_enlarge is 2"):
        composite(small)


def test_people_cut_off_at_the_thighs_get_no_place() -> None:
    place, paper = "loft", "paper-terracotta"
    others = frozenset(preset.name for preset in PRESETS) - {place, paper}
    inputs = replace(a_job("auto"), collection=Collection(missing=others))
    assert inputs.segmented is not None
    at_thighs = replace(inputs.segmented, lower_end=LowerEnd.THIGHS)
    cut_off = replace(inputs, segmented=at_thighs)

    chosen, chosen_cut_off = (
        {
            choose_background.resolve(
                job.recipe, read_people(job), seed=seed, collection=job.collection
            ).name
            for seed in range(20)
        }
        for job in (inputs, cut_off)
    )

    assert place in chosen
    assert chosen_cut_off == {paper}


LOBBY = Preset(
    name="site/lobby",
    title="The lobby",
    family=PICTURE,
    tags=("lobby", "zirconium"),
    moods=tuple(Mood),
    palette=("#0a50f0",),
    brightness=0.31,
)


def blue(name: str) -> Srgb8:
    del name
    return np.full((40, 30, 3), (10, 80, 240), np.uint8)


def expired(name: str) -> Srgb8:
    raise InputsExpired(f"the background {name} does not exist any more")


def unreadable(name: str) -> Srgb8:
    raise ImageUnreadable(f"the background {name}: truncated")


def a_job_with(load: Callable[[str], Srgb8], background: str) -> Inputs:
    collection = Collection((DesignSource(), StockSource((LOBBY,), load)))
    return replace(a_job(background, format=Format.PNG), collection=collection)


@pytest.mark.parametrize("background", ["preset:site/lobby", "keywords:zirconium"])
def test_picture_is_drawn_behind_the_people(background: str) -> None:
    inputs = a_job_with(blue, background)
    inputs = replace(inputs, recipe=replace(inputs.recipe, look=NO_LOOK))

    result = composite(inputs)

    assert (result.background.name, result.background.kind) == ("site/lobby", "preset")
    assert "The lobby" in result.background.reason
    seen = decode_pixels(result.image)
    assert (seen[OUTSIDE] == [10, 80, 240]).all()
    assert np.array_equal(seen[INSIDE], inputs.photo.srgb[INSIDE])


@pytest.mark.parametrize(
    ("load", "error"), [(expired, InputsExpired), (unreadable, ImageUnreadable)]
)
def test_missing_picture_requested_by_name_fails_the_stage(
    load: Callable[[str], Srgb8], error: type[Exception]
) -> None:
    with pytest.raises(error, match="site/lobby"):
        composite(a_job_with(load, "preset:site/lobby"))


@pytest.mark.parametrize("load", [expired, unreadable])
@pytest.mark.parametrize("background", ["keywords:zirconium", "auto"])
def test_missing_picture_chosen_automatically_is_replaced(
    load: Callable[[str], Srgb8], background: str
) -> None:
    result = composite(a_job_with(load, background))

    assert result.background.name != "site/lobby"


RED = (255, 0, 0)
DRAWN_INSIDE = (slice(108, 114), slice(100, 140))
REMOVE_INSIDE = Stroke(((96, 111), (144, 111)), width=20, keep=False)


def shown(*drawn: MatteDrawing) -> tuple[NDArray[np.int16], NDArray[np.int16], NDArray[np.int16]]:
    inputs = a_job("color:#f00", format=Format.PNG, outputs=(Output.IMAGE, Output.MATTE))
    result = composite(dataclasses.replace(inputs, drawn=drawn))
    return (
        decode_pixels(result.image),
        decode_pixels(result.matte),
        inputs.photo.srgb.astype(np.int16),
    )


def is_photo(
    picture: NDArray[np.int16], photo: NDArray[np.int16], where: tuple[slice, slice]
) -> bool:
    return bool(np.abs(picture[where] - photo[where]).max() <= 2)


def test_removing_stroke_shows_the_background_within_a_soft_edge() -> None:
    picture, matte, photo = shown(MatteDrawing(strokes=(REMOVE_INSIDE,)))

    assert matte[DRAWN_INSIDE].max() <= 5
    assert np.abs(picture[DRAWN_INSIDE] - RED).max() <= 5
    assert is_photo(picture, photo, (slice(60, 90), slice(90, 150)))
    profile = matte[80:112, 120]
    assert (profile[0], profile[-1] <= 5) == (255, True)
    assert np.any((profile > 20) & (profile < 235))


def matte_with_chair(*strokes: Stroke) -> Bytes:
    """Return the corrected matte of a model that takes a chair next to the person for a person.

    Shape (90, 120), half of the photo's.  The matte is faint around the chair.
    """
    inputs = a_job()
    assert inputs.segmented is not None
    proxy, matte = inputs.prepared.proxy_srgb.copy(), inputs.segmented.matte.copy()
    proxy[60:, 85:110] = 20, 40, 220
    matte[60:, 85:110] = 255
    matte[59, 86:110] = matte[60:, 110] = 110
    prepared = dataclasses.replace(inputs.prepared, proxy_srgb=proxy)
    segmented = dataclasses.replace(inputs.segmented, matte=matte)
    drawing = MatteDrawing(strokes=strokes)
    drawn = apply_corrections.draw_over_matte(segmented, [drawing], prepared, matte)
    return drawn.segmented.matte


REMOVED_PART = Stroke(((195, 160),), keep=False, snap="part")
CHAIR, BODY = np.s_[63:, 89:108], np.s_[30:, 40:82]


def test_click_on_a_leftover_removes_its_part_with_its_faint_outline() -> None:
    before, after = matte_with_chair(), matte_with_chair(REMOVED_PART)

    assert before[CHAIR].min() == 255
    assert after[58:, 90:].max() < 40  # 110 before
    assert after[BODY].min() == 255


def test_later_click_brings_a_part_back() -> None:
    after = matte_with_chair(REMOVED_PART, dataclasses.replace(REMOVED_PART, keep=True))

    assert after[CHAIR].min() == 255


def test_small_region_is_removed_without_the_rest_of_its_part() -> None:
    after = matte_with_chair(dataclasses.replace(REMOVED_PART, snap="region"))

    assert after[80, 97] < 128
    assert after[CHAIR].max() == 255


def test_region_is_removed_only_as_far_as_the_line_is_wide() -> None:
    narrow = Stroke(((180, 160), (200, 160)), keep=False, width=16, snap="region")

    after = matte_with_chair(narrow)

    assert after[79:82, 92:98].max() < 40
    assert after[63:74, 89:108].min() == 255
    assert after[BODY].min() == 255


def test_kept_dot_brings_back_its_part_within_its_width_and_nothing_of_another() -> None:
    removed = dataclasses.replace(REMOVED_PART, width=400)

    after = matte_with_chair(removed, dataclasses.replace(removed, keep=True, width=16))

    assert after[78:82, 95:99].min() > 220
    assert after[66:70, 90:107].max() < 5


def test_scrap_between_strokes_goes_and_a_hand_beyond_one_stays() -> None:
    around = Stroke(
        ((172, 124), (217, 124), (217, 176), (172, 176), (172, 124)), keep=False, width=14
    )
    across = Stroke(((160, 150), (230, 150)), keep=False, width=10)

    scrap, hand = matte_with_chair(around, across), matte_with_chair(across)

    assert scrap[63:, 88:].max() < 40
    assert hand[82:, 90:108].min() == 255


@pytest.mark.parametrize("edge", Edge)
@pytest.mark.parametrize("keep", [False, True])
def test_no_step_after_a_stroke_changes_what_it_says(edge: Edge, *, keep: bool) -> None:
    """Colors say nothing here, and all of the matte is haze: any edge is learned anywhere."""
    inputs = a_job(
        "color:#f00", format=Format.PNG, outputs=(Output.IMAGE, Output.MATTE), edge=edge, grow=2
    )
    noise = np.random.default_rng(3).integers(0, 256, inputs.photo.srgb.shape, np.uint8)
    assert inputs.segmented is not None
    haze = np.full_like(inputs.segmented.matte, 110)
    stroke = Stroke(((60, 90), (200, 90)), keep=keep, width=24)
    proxy = np.ascontiguousarray(noise[::2, ::2])

    result = composite(
        replace(
            inputs,
            photo=replace(inputs.photo, srgb=noise),
            prepared=replace(inputs.prepared, proxy_srgb=proxy),
            segmented=replace(inputs.segmented, matte=haze),
            drawn=(MatteDrawing(strokes=(stroke,)),),
        )
    )

    painted = np.s_[81:100, 60:200]
    assert (decode_pixels(result.matte)[painted] == (255 if keep else 0)).all()
    expected = noise[painted] if keep else RED
    assert np.abs(decode_pixels(result.image)[painted] - expected).max() == 0


@pytest.mark.parametrize("background", ["auto", "keywords:sea"])
@pytest.mark.parametrize("is_doubtful", [False, True])
def test_correction_changes_neither_background_nor_frame(
    background: str, *, is_doubtful: bool
) -> None:
    inputs = a_job(background, framing=Framing(crop=Crop.SUBJECT))
    assert inputs.segmented is not None
    spread = 1.0 if is_doubtful else 0.0
    inputs = replace(inputs, segmented=replace(inputs.segmented, outline_spread=spread))
    kept = Stroke(((10, 20), (10, 160), (220, 160)), keep=True, width=20)

    before, after = (
        composite(replace(inputs, drawn=drawn))
        for drawn in ((), (MatteDrawing(strokes=(kept, REMOVE_INSIDE)),))
    )

    assert after.background.name == before.background.name
    assert (after.background.kind, after.frame) == (before.background.kind, before.frame)


def test_person_who_is_drawn_where_none_was_found_gets_a_background() -> None:
    inputs = a_job("color:#f00")
    assert inputs.segmented is not None
    empty = replace(inputs.segmented, matte=np.zeros_like(inputs.segmented.matte), coverage=0.0)
    kept = Stroke(((60, 60), (160, 160)), keep=True, width=60)

    found = composite(
        replace(inputs, segmented=empty, drawn=(MatteDrawing(strokes=(kept,)),))
    ).background

    assert found.kind == "color"


def test_later_plain_stroke_overrides_a_region() -> None:
    after = matte_with_chair(REMOVED_PART, Stroke(((195, 160),), width=12, keep=True))

    assert after[80, 97] == 255
    assert after[63:70, 100:108].max() <= 5


def test_map_of_regions_is_an_output_in_the_photos_coordinates() -> None:
    inputs = a_job("color:#f00", outputs=(Output.REGIONS,))

    result = composite(inputs)

    assert result.image is None
    assert (result.regions.width, result.regions.height) == (120, 90)
    packed = decode_pixels(result.regions, sized=False).astype(np.int64) @ (65536, 256, 1)
    assert inputs.segmented is not None
    is_inside = inputs.segmented.matte > 127
    assert not set(packed[is_inside] // 4096) & set(packed[~is_inside] // 4096)


@pytest.mark.parametrize("kind", ["JPEG", "BMP", "TIFF", "PPM", "GIF", "truncated"])
def test_mask_that_is_no_whole_png_is_unreadable(kind: str) -> None:
    gray = Image.new("L", (16, 16), 200)
    content = encode(gray, "PNG")[:20] if kind == "truncated" else encode(gray, kind)

    with pytest.raises(ImageUnreadable, match="mask"):
        images.decode_mask(content)


def test_mood_is_that_of_the_people_who_stay() -> None:
    passer_by, subject = (
        Face((x, y, 30, 30), 0.9, ((x, y),) * 5)  # type: ignore[arg-type]  # five of one type
        for x, y in ((10, 10), (105, 90))
    )
    inputs = replace(
        a_job("auto"),
        faces=Faces((passer_by, subject)),
        smiles=smiles_of(SmileLevel.NONE, SmileLevel.HUGE),
    )

    assert (
        infer_mood(inputs.recipe, read_people(inputs)).read_from
        == "1 person, smiling broadly, eyes open"
    )
