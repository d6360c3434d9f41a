"""What the encoders write, read back by another decoder; and how photos are shrunk."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from smart_filter_shared.errors import ImageTooLarge
from smart_filter_workers import images
from smart_filter_workers.images import Manner
from smart_filter_workers.results import Encoded, Srgb8


def a_ramp(width: int = 96, height: int = 64) -> Srgb8:
    """A smooth picture in which every row and every column differs."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([x * 2, y * 3, (x + y)], axis=-1).astype(np.uint8)


def read(encoded: Encoded) -> Image.Image:
    picture = Image.open(io.BytesIO(encoded.content))
    assert picture.size == (encoded.width, encoded.height)
    return picture


@pytest.mark.parametrize(("quality", "chroma"), [(89, (2, 2)), (90, (1, 1))], ids=["half", "full"])
def test_chroma_is_whole_from_quality_90(quality: int, chroma: tuple[int, int]) -> None:
    encoded = images.encode_jpeg(a_ramp(), quality=quality)

    picture = read(encoded)

    assert (encoded.media_type, encoded.format) == ("image/jpeg", "jpg")
    assert picture.layer[0][1:3] == chroma


def test_jpeg_shows_what_went_in() -> None:
    encoded = images.encode_jpeg(a_ramp(), quality=95)

    # A smooth ramp at quality 95: quantisation of a few levels.
    assert np.abs(np.asarray(read(encoded)).astype(int) - a_ramp()).max() <= 6


@pytest.mark.parametrize("small", [False, True])
@pytest.mark.parametrize("format_", ["jpg", "webp", "png", "avif"])
def test_files_say_srgb_and_nothing_else(format_: str, *, small: bool) -> None:
    picture = read(images.encode(a_ramp(), Manner(format_, quality=80, small=small)))

    assert not picture.getexif()
    assert not {"exif", "xmp"} & set(picture.info)
    if format_ == "png":
        assert picture.info["srgb"] == 0
    if format_ in {"jpg", "webp"}:  # an AVIF says it by its own fields
        profile = ImageCms.ImageCmsProfile(io.BytesIO(picture.info["icc_profile"]))
        assert "sRGB" in ImageCms.getProfileDescription(profile)


@pytest.mark.parametrize("small", [False, True])
@pytest.mark.parametrize("format_", ["jpg", "webp", "png", "avif"])
def test_files_say_how_large_they_are_printed(format_: str, *, small: bool) -> None:
    manner = Manner(format_, quality=80, small=small, dots_per_inch=300)

    picture = read(images.encode(a_ramp(), manner))

    if format_ in {"jpg", "png"}:
        # PNG counts whole pixels a metre.
        assert picture.info["dpi"] == pytest.approx((300, 300), abs=0.01)
        assert not picture.getexif()
    else:
        assert [picture.getexif()[tag] for tag in (0x011A, 0x011B, 0x0128)] == [300, 300, 2]


def test_profile_does_not_tell_when_it_was_made() -> None:
    content = images.encode_jpeg(a_ramp(), quality=80).content

    at = content.index(b"acsp") - 36

    assert content[at + 24 : at + 36] == bytes(12)


@pytest.mark.parametrize("small", [False, True])
def test_files_show_what_went_in_whatever_the_effort(*, small: bool) -> None:
    for format_ in ("jpg", "webp", "png", "avif"):
        seen = read(images.encode(a_ramp(), Manner(format_, quality=95, small=small)))

        assert np.abs(np.asarray(seen).astype(int) - a_ramp()).mean() <= 2


def test_slower_encoders_make_smaller_files() -> None:
    coarse = np.random.default_rng(5).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    smooth = cv2.resize(coarse, (256, 192), interpolation=cv2.INTER_CUBIC)

    for format_ in ("jpg", "webp", "png", "avif"):
        fast, small = (
            images.encode(smooth, Manner(format_, small=small)).content for small in (False, True)
        )
        assert len(small) < len(fast)


def test_sixteen_bits_of_grey_are_kept() -> None:
    grey = np.arange(96 * 64, dtype=np.uint16).reshape(64, 96) * 10

    picture = read(images.encode_png(grey))

    assert picture.mode == "I;16"
    assert np.array_equal(np.asarray(picture), grey)


def test_png_keeps_every_pixel_and_says_srgb() -> None:
    picture = read(images.encode_png(a_ramp()))

    assert np.array_equal(np.asarray(picture), a_ramp())
    assert picture.info["srgb"] == 0


def test_png_of_anything_keeps_every_pixel() -> None:
    noise = np.random.default_rng(8).integers(0, 256, (61, 47, 3), dtype=np.uint8)
    flat = np.full((61, 47, 3), 90, np.uint8)
    flat[20:, 30:] = noise[20:, 30:]

    for picture in (noise, flat, noise[:1], noise[:, :1].copy()):
        assert np.array_equal(np.asarray(read(images.encode_png(picture))), picture)


def test_plain_colours_make_a_small_png() -> None:
    assert len(images.encode_png(np.full((480, 640, 3), 90, np.uint8)).content) < 10_000


def test_grey_png_keeps_every_pixel() -> None:
    grey = a_ramp()[..., 0].copy()

    picture = read(images.encode_png(grey))

    assert picture.mode == "L"
    assert np.array_equal(np.asarray(picture), grey)


def test_colours_are_kept_where_anything_shows_and_black_where_nothing_does() -> None:
    alpha = np.zeros((64, 96), np.uint8)
    alpha[:, 40:] = 1
    alpha[:, 60:] = 255

    seen = np.asarray(read(images.encode_png(np.dstack([a_ramp(), alpha]))))

    assert np.array_equal(seen[..., 3], alpha)
    assert np.array_equal(seen[:, 40:, :3], a_ramp()[:, 40:])
    assert not seen[:, :40, :3].any()


def test_webp_shows_what_went_in() -> None:
    encoded = images.encode_webp(a_ramp(), quality=95)

    picture = read(encoded)
    assert (encoded.media_type, encoded.format) == ("image/webp", "webp")
    assert (picture.format, picture.mode) == ("WEBP", "RGB")
    # A smooth ramp, but chroma at half resolution, as in every lossy WebP.
    assert np.abs(np.asarray(picture).astype(int) - a_ramp()).mean() <= 2


def test_webp_keeps_alpha_exactly() -> None:
    alpha = np.random.default_rng(3).integers(0, 256, (64, 96), dtype=np.uint8)
    alpha[:20], alpha[-20:] = 0, 255

    picture = read(images.encode_webp(np.dstack([a_ramp(), alpha]), quality=60))

    seen = np.asarray(picture)
    assert picture.mode == "RGBA"
    assert np.array_equal(seen[..., 3], alpha)
    assert np.abs(seen[-20:, :, :3].astype(int) - a_ramp()[-20:]).mean() <= 4


def test_quality_decides_the_size_of_a_webp() -> None:
    noise = np.random.default_rng(4).integers(0, 256, (64, 96, 3), dtype=np.uint8)

    fine, coarse = (images.encode_webp(noise, quality=quality) for quality in (95, 20))

    assert len(coarse.content) < len(fine.content) / 2


def test_webp_has_room_for_the_grain_of_large_photos() -> None:
    """Its fastest method has none for 17 megapixels with a camera's noise."""
    grain = np.random.default_rng(6).normal(128, 20, (1024, 1024)).clip(0, 255).astype(np.uint8)
    large = cv2.merge([np.tile(grain, (4, 4))] * 3)

    encoded = images.encode_webp(large, quality=90)

    assert encoded.quality == 90
    assert read(encoded).format == "WEBP"


def test_avif_shows_what_went_in() -> None:
    encoded = images.encode_avif(a_ramp(), quality=95)

    picture = read(encoded)
    assert (encoded.media_type, encoded.format) == ("image/avif", "avif")
    assert (picture.format, picture.mode) == ("AVIF", "RGB")
    # A smooth ramp at quality 95: quantisation of a few levels.
    assert np.abs(np.asarray(picture).astype(int) - a_ramp()).max() <= 6


@pytest.mark.parametrize("quality", [1, 60, 95])
def test_avif_keeps_alpha_exactly(quality: int) -> None:
    alpha = np.random.default_rng(3).integers(0, 256, (64, 96), dtype=np.uint8)
    alpha[:20], alpha[-20:] = 0, 255

    picture = read(images.encode_avif(np.dstack([a_ramp(), alpha]), quality=quality))

    assert picture.mode == "RGBA"
    assert np.array_equal(np.asarray(picture)[..., 3], alpha)


def test_avif_keeps_chroma_whole_from_quality_90() -> None:
    stripes = np.zeros((64, 96, 3), np.uint8)
    stripes[:, ::2], stripes[:, 1::2] = (255, 0, 0), (0, 0, 255)

    whole, half = (np.asarray(read(images.encode_avif(stripes, quality=q))) for q in (90, 89))

    # Red and blue columns of one pixel: half the chroma mixes them into purple.
    assert np.abs(whole.astype(int) - stripes).mean() < 20
    assert np.abs(half.astype(int) - stripes).mean() > 60


def test_quality_decides_the_size_of_an_avif() -> None:
    noise = np.random.default_rng(4).integers(0, 256, (64, 96, 3), dtype=np.uint8)

    fine, coarse = (images.encode_avif(noise, quality=quality) for quality in (95, 30))

    assert len(coarse.content) < len(fine.content) / 2


def test_side_that_a_format_cannot_hold_is_told() -> None:
    long = np.zeros((2, images.MAX_JPEG_SIDE_PX + 1, 3), np.uint8)

    with pytest.raises(ImageTooLarge, match="65501×2 pixels; JPEG holds 65500"):
        images.encode_jpeg(long, quality=90)
    with pytest.raises(ImageTooLarge, match="WebP holds 16383"):
        images.encode_webp(long, quality=90)
    with pytest.raises(ImageTooLarge, match="AVIF holds 32768"):
        images.encode_avif(long, quality=90)
    assert images.encode_png(long).width == images.MAX_JPEG_SIDE_PX + 1


def test_longest_sides_that_a_format_can_hold_are_written() -> None:
    webp = np.zeros((1, images.MAX_WEBP_SIDE_PX, 3), np.uint8)
    jpeg = np.zeros((1, images.MAX_JPEG_SIDE_PX, 3), np.uint8)
    avif = np.zeros((1, images.MAX_AVIF_SIDE_PX, 3), np.uint8)

    assert read(images.encode_webp(webp, quality=50)).size == (images.MAX_WEBP_SIDE_PX, 1)
    assert read(images.encode_jpeg(jpeg, quality=50)).size == (images.MAX_JPEG_SIDE_PX, 1)
    assert read(images.encode_avif(avif, quality=50)).size == (images.MAX_AVIF_SIDE_PX, 1)


@pytest.mark.parametrize("size", [(400, 300), (401, 299), (1600, 1200), (30, 2000)])
def test_shrinking_keeps_proportions_and_mean(size: tuple[int, int]) -> None:
    photo = np.random.default_rng(2).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)

    small = images.shrink(photo, longest_side=100)

    assert max(small.shape[:2]) == 100
    assert min(small.shape[:2]) == max(1, round(100 * min(size) / max(size)))
    assert abs(float(small.mean()) - float(photo.mean())) < 1


def test_a_small_photo_is_not_touched() -> None:
    photo = a_ramp()

    assert images.shrink(photo, longest_side=96) is photo
