import io
import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from smart_filter_shared.errors import NoMask
from smart_filter_shared.recipe import (
    BackgroundKind,
    Edge,
    Effort,
    Files,
    Format,
    Framing,
    Mask,
    Output,
    PersonSelection,
)
from smart_filter_shared.recipe.framing import read_size
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
from smart_filter_tests.pictures import noise, prepared_photo
from smart_filter_workers import images
from smart_filter_workers.images import previews
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import (
    EncodedFile,
    InstanceMap,
    Matte8,
    MatteDrawing,
    Segmentation,
    Stroke,
)
from smart_filter_workers.stages.composite import outputs
from smart_filter_workers.stages.composite.look import NO_LOOK
from smart_filter_workers.stages.composite.stage import Inputs
from smart_filter_workers.stages.segmentation.models.base import People
from smart_filter_workers.stages.segmentation.people import separation
from smart_filter_workers.stages.segmentation.people.person_selection import select_persons


@pytest.mark.parametrize("background", ["auto", "keep", "preset:sky", "transparent", "blur:0"])
def test_cutout_is_transparent_for_any_background(background: str) -> None:
    inputs = a_job(background, outputs=(Output.IMAGE, Output.CUTOUT))

    seen = decode_pixels(composite(inputs).cutout)

    assert np.array_equal(seen, decode_pixels(composite(a_job("transparent")).image))
    assert (seen[INSIDE][..., 3] == 255).all()
    assert np.array_equal(seen[INSIDE][..., :3], inputs.photo.srgb[INSIDE])
    assert not seen[OUTSIDE].any()


@pytest.mark.parametrize("format_", [Format.JPG, Format.PNG, Format.WEBP, Format.AVIF])
def test_image_and_cutout_stay_within_the_size_limit(format_: Format) -> None:
    asked = {"outputs": (Output.IMAGE, Output.CUTOUT), "files": Files(max_bytes=10_000)}

    result = composite(a_job("preset:paper", format=format_, **asked))

    assert max(len(file.content) for file in (result.image, result.cutout)) <= 10_000


def test_matte_in_sixteen_bits_has_the_same_coverage() -> None:
    coarse = decode_pixels(composite(a_job("keep", outputs=(Output.MATTE,))).matte)

    matte = composite(a_job("keep", outputs=(Output.MATTE,), files=Files(matte_bits=16))).matte

    fine = np.asarray(Image.open(io.BytesIO(matte.content))).astype(np.int32)
    assert fine.max() == 65_535
    assert np.array_equal(fine, coarse.astype(np.int32) * 257)


@pytest.mark.parametrize("keep", [False, True])
def test_metadata_is_kept_only_on_request(*, keep: bool) -> None:
    tags = Image.Exif()
    tags[0x013B] = "Ada"
    inputs = a_job("preset:sky", files=Files(keep_metadata=keep))
    inputs = replace(inputs, photo=replace(inputs.photo, exif=tags.tobytes()))

    image = composite(inputs).image

    seen = Image.open(io.BytesIO(image.content)).getexif()
    assert seen.get(0x013B) == ("Ada" if keep else None)


SMALL = (HEIGHT // SCALE, WIDTH // SCALE)


def unpacked(archive: EncodedFile | None) -> dict[str, bytes]:
    assert (archive.media_type, archive.format) == ("application/zip", "zip")
    with zipfile.ZipFile(io.BytesIO(archive.content)) as files:
        return {name: files.read(name) for name in files.namelist()}


def seen(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)))


def of_two(*, touching: bool = False) -> Inputs:
    """Make two persons, one on the left and one on the right, each a column."""
    matte = np.zeros(SMALL, np.uint8)
    whose = np.zeros(SMALL, np.uint8)
    matte[30:70, 10:40], whose[30:70, 11:40] = 255, 1
    right = 40 if touching else 60
    matte[20:70, right:90], whose[20:70, right:89] = 255, 2
    inputs = a_job("keep", outputs=(Output.PERSONS,))
    coverage = float((matte > 0).mean())
    return replace(
        inputs, segmented=Segmentation(matte=matte, coverage=coverage, persons=2, owners=whose)
    )


def test_each_person_is_a_file_cropped_to_it() -> None:
    files = unpacked(composite(of_two()).persons)

    assert list(files) == ["person-1.png", "person-2.png", outputs.INDEX_FILE]
    index = json.loads(files[outputs.INDEX_FILE])
    assert index["photo"] == {"width": WIDTH, "height": HEIGHT}
    for person, left, top in zip(index["persons"], (10, 60), (30, 20), strict=True):
        x, y, width, height = person["box"]
        # The photo's own texture moves the edge by a few pixels.
        assert abs(x - left * SCALE) <= 4 * SCALE
        assert abs(y - top * SCALE) <= 4 * SCALE
        assert seen(files[person["file"]]).shape == (height, width, 4)


def test_archive_without_people_has_no_pictures() -> None:
    empty = Segmentation(
        matte=np.zeros(SMALL, np.uint8), coverage=0.0, persons=0, owners=np.zeros(SMALL, np.uint8)
    )

    files = unpacked(composite(replace(of_two(), segmented=empty)).persons)

    assert list(files) == [outputs.INDEX_FILE]
    assert json.loads(files[outputs.INDEX_FILE])["persons"] == []


def test_file_shows_its_person_alone() -> None:
    inputs = of_two(touching=True)
    files = unpacked(composite(inputs).persons)

    (_, right) = json.loads(files[outputs.INDEX_FILE])["persons"]
    x, y, width, height = right["box"]
    picture = seen(files["person-2.png"])
    # Enlarged, the seam is two of its pixels wide.
    assert x >= 38 * SCALE, "what is to the left is the other one's"
    inner = (slice(height // 3, -height // 3), slice(width // 3, -width // 3))
    assert (picture[inner][..., 3] == 255).all()
    photo = inputs.photo.srgb[y : y + height, x : x + width]
    assert np.array_equal(picture[inner][..., :3], photo[inner])


def a_column(left: int, right: int) -> np.ndarray:
    matte = np.zeros((10, 30), np.uint8)
    matte[2:8, left:right] = 255
    return matte


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        (PersonSelection.ALL, {1, 2}),
        (PersonSelection.LARGEST, {2}),
        ((1,), {1}),
        ((1, 7), {1}),
        ((3,), set()),
    ],
)
def test_pixels_belong_to_kept_persons(wanted: PersonSelection, numbers: set[int]) -> None:
    mattes = (a_column(2, 10), a_column(12, 28))
    people = People(np.maximum(*mattes), mattes)

    kept = select_persons(people, wanted, prepared_photo(noise(10, 30)))
    whose: InstanceMap = separation.build_instance_map(kept, like=people.matte)

    assert set(kept) == numbers
    assert set(np.unique(whose)) - {0} == numbers


def test_colors_of_a_zip_continue_beyond_the_people() -> None:
    inputs = a_job("transparent", outputs=(Output.ZIP,))
    plain, proxy = (
        np.full_like(srgb, 180) for srgb in (inputs.photo.srgb, inputs.prepared.proxy_srgb)
    )
    inputs = replace(
        inputs,
        photo=replace(inputs.photo, srgb=plain),
        prepared=replace(inputs.prepared, proxy_srgb=proxy),
    )

    colors = np.asarray(Image.open(io.BytesIO(unpacked(composite(inputs).zip)["color.jpg"])))

    assert colors.min() > 170  # JPEG


@pytest.mark.parametrize("effort", list(Effort))
def test_zip_contains_the_matte_and_colors_without_alpha(effort: Effort) -> None:
    both = (Output.ZIP, Output.CUTOUT)
    result = composite(a_job("preset:sky", outputs=both, files=Files(effort=effort), quality=95))

    files = unpacked(result.zip)

    assert list(files) == ["color.jpg", "alpha.png"]
    colors, alpha = seen(files["color.jpg"]).astype(int), seen(files["alpha.png"])
    cutout = decode_pixels(result.cutout)
    assert np.array_equal(alpha, cutout[..., 3])
    # Colors and alpha together are the cutout, except for JPEG's rounding.
    solid = cutout[..., 3] == 255
    assert np.abs(colors[solid] - cutout[solid][..., :3]).mean() < 4


@pytest.mark.parametrize("background", ["keep", "preset:sky", "transparent"])
def test_thumbnail_is_a_small_jpeg(background: str) -> None:
    result = composite(a_job(background, outputs=(Output.THUMBNAIL,)))

    small = result.thumbnail
    assert (result.image, small.format) == (None, "jpg")
    assert max(small.width, small.height) <= previews.THUMBNAIL_PX
    assert abs(small.width / small.height - WIDTH / HEIGHT) < 0.02


@pytest.mark.parametrize("grow", [-3, 0, 1, 3])
@pytest.mark.parametrize("size", ["full", "500x375", "97x61"])
def test_hard_edge_has_no_partial_transparency(grow: int, size: str) -> None:
    framing = Framing(size=read_size(size))
    inputs = a_job(
        "transparent",
        format=Format.PNG,
        edge=Edge.HARD,
        grow=grow,
        framing=framing,
        outputs=(Output.IMAGE, Output.CUTOUT, Output.MATTE),
    )

    result = composite(inputs)

    matte = decode_pixels(result.matte, sized=False)
    assert set(np.unique(matte)) == {0, 255}
    for rgba in (result.image, result.cutout):
        assert np.array_equal(decode_pixels(rgba, sized=False)[..., 3], matte)


@pytest.mark.parametrize("grow", [-3, -1, 1, 3])
def test_grow_moves_the_outline_by_pixels_of_the_photo(grow: int) -> None:
    def widths(pixels: int) -> tuple[int, int]:
        """Return the people's pixels in a row, and at the photo's lower border in a column."""
        inputs = a_job("keep", grow=pixels, edge=Edge.HARD, outputs=(Output.MATTE,))
        people = decode_pixels(composite(inputs).matte) > 0
        return int(people[HEIGHT // 2].sum()), int(people[:, WIDTH // 2].sum())

    before, after = widths(0), widths(grow)

    assert after == (before[0] + 2 * grow, before[1] + grow), "the photo's border is no edge"


def cut_out_photo(**recipe: object) -> Inputs:
    """Return a job whose photo is a disc on a transparent ground of another color."""
    inputs = a_job(**recipe, format=Format.PNG, look=NO_LOOK, mask=Mask.UPLOAD)
    alpha = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.circle(alpha, (80, 60), 40, 255, -1, cv2.LINE_AA)
    srgb = images.flatten_on_white(np.dstack([inputs.photo.srgb, alpha]))
    return replace(inputs, photo=replace(inputs.photo, srgb=srgb, alpha=alpha))


@pytest.mark.parametrize("size", ["full", "500x375", "40x30"])
@pytest.mark.parametrize("edge", [Edge.BALANCED, Edge.HARD])
def test_colors_of_the_upload_are_free_of_white(size: str, edge: Edge) -> None:
    framing = Framing(size=read_size(size))
    inputs = cut_out_photo(background="color:black", edge=edge, framing=framing)
    red = np.full_like(inputs.photo.srgb, (200, 0, 0))
    flat = images.flatten_on_white(np.dstack([red, inputs.photo.alpha]))

    shown = decode_pixels(
        composite(replace(inputs, photo=replace(inputs.photo, srgb=flat))).image, sized=False
    )

    assert abs(shown[..., 0].max() - 200) <= 2
    assert shown[..., 1:].max() <= 2


def test_auto_replaces_the_background_of_a_photo_that_is_cut_out() -> None:
    inputs = cut_out_photo(background="auto")
    unsure = replace(inputs, segmented=replace(inputs.segmented, needs_review=True))

    assert composite(unsure).background.kind == BackgroundKind.PRESET


def test_mask_of_the_upload_needs_transparency() -> None:
    with pytest.raises(NoMask, match="no transparency"):
        composite(a_job("transparent", mask=Mask.UPLOAD))


def with_mask(inputs: Inputs, mask: Matte8, quarter_turns: int = 0) -> Inputs:
    """Return a job with a mask that was sent with its photo; it is turned as the photo was."""
    turned = images.rotate_quarter_turns(mask, (4 - quarter_turns) % 4)
    photo = images.rotate_quarter_turns(inputs.photo.srgb, (4 - quarter_turns) % 4)
    return replace(
        inputs,
        photo=replace(inputs.photo, srgb=photo),
        prepared=replace(inputs.prepared, quarter_turns=quarter_turns),
        drawn=(MatteDrawing(mask=turned, as_sent=True),),
    )


def a_ring() -> Matte8:
    """Return a mask with a soft edge and a hole, which no model makes."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.circle(mask, (70, 60), 40, 255, -1, cv2.LINE_AA)
    cv2.circle(mask, (70, 60), 12, 0, -1)
    mask[0:3, 0:3] = 128
    return mask


@pytest.mark.parametrize("quarter_turns", range(4))
def test_mask_of_the_submission_is_the_matte_exactly(quarter_turns: int) -> None:
    inputs = a_job("transparent", outputs=(Output.CUTOUT, Output.MATTE), format=Format.PNG)

    result = composite(with_mask(inputs, a_ring(), quarter_turns))

    assert np.array_equal(decode_pixels(result.matte), a_ring())
    assert np.array_equal(decode_pixels(result.cutout)[..., 3], a_ring())


def test_strokes_after_the_submission_are_drawn_over_its_mask() -> None:
    inputs = with_mask(a_job("transparent", outputs=(Output.MATTE,)), a_ring())
    stroke = Stroke(points=((70, 60),), keep=True, width=40)

    result = composite(replace(inputs, drawn=(*inputs.drawn, MatteDrawing(strokes=(stroke,)))))

    assert decode_pixels(result.matte)[60, 70] == 255


@pytest.mark.parametrize("name", ["image", "cutout"])
@pytest.mark.parametrize("as_file", [False, True])
def test_faint_mask_is_used_exactly(name: str, *, as_file: bool) -> None:
    faint = np.zeros((HEIGHT, WIDTH), np.uint8)
    faint[20:70, 30:90] = 120
    outputs = (Output.IMAGE, Output.CUTOUT)
    if as_file:
        inputs = with_mask(a_job("transparent", outputs=outputs, format=Format.PNG), faint)
    else:
        inputs = cut_out_photo(background="transparent", outputs=outputs)
        inputs = replace(inputs, photo=replace(inputs.photo, alpha=faint))

    result = composite(inputs)

    assert np.array_equal(decode_pixels(getattr(result, name))[..., 3], faint)


def test_empty_mask_is_refused() -> None:
    inputs = with_mask(a_job("color:black"), np.zeros((HEIGHT, WIDTH), np.uint8))
    with pytest.raises(NoMask, match="mask is empty"):
        composite(inputs)


def test_mask_of_another_size_is_refused_with_the_size_to_send() -> None:
    with pytest.raises(NoMask, match=rf"is 9×7, but the photo is {WIDTH}×{HEIGHT} .* send a mask"):
        composite(with_mask(a_job("transparent"), np.zeros((7, 9), np.uint8)))


@pytest.mark.parametrize("quarter_turns", range(4))
def test_strokes_of_the_submission_turn_with_the_photo(quarter_turns: int) -> None:
    upright = a_job("transparent", outputs=(Output.MATTE,))
    sent = with_mask(upright, np.zeros((HEIGHT, WIDTH), np.uint8), quarter_turns)
    x, y = 30, 20  # without people
    marked = np.zeros((HEIGHT, WIDTH), np.uint8)
    marked[y, x] = 255
    (row,), (column,) = np.nonzero(images.rotate_quarter_turns(marked, (4 - quarter_turns) % 4))
    stroke = Stroke(points=((column + 0.5, row + 0.5),), keep=True, width=24)

    result = composite(replace(sent, drawn=(MatteDrawing(strokes=(stroke,), as_sent=True),)))

    assert decode_pixels(result.matte)[y, x] > 250
