import io
import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from smart_filter_shared.recipe import Effort, Files, Format, Output, PersonSelection
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
from smart_filter_workers.images import previews
from smart_filter_workers.results import EncodedFile, InstanceMap, Segmentation
from smart_filter_workers.stages.composite import persons
from smart_filter_workers.stages.composite.inputs import Inputs
from smart_filter_workers.stages.segmentation.models.base import People
from smart_filter_workers.stages.segmentation.people import instance_map
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

    assert list(files) == ["person-1.png", "person-2.png", persons.INDEX_FILE]
    index = json.loads(files[persons.INDEX_FILE])
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

    assert list(files) == [persons.INDEX_FILE]
    assert json.loads(files[persons.INDEX_FILE])["persons"] == []


def test_file_shows_its_person_alone() -> None:
    inputs = of_two(touching=True)
    files = unpacked(composite(inputs).persons)

    (_, right) = json.loads(files[persons.INDEX_FILE])["persons"]
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
    whose: InstanceMap = instance_map.build_instance_map(kept, like=people.matte)

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
