"""Measure how often albums miss photos of one scene, and how often they group different scenes.

python -m benchmarks.albums PHOTO…: every photo shows a different scene. A photo `images/X.jpg` with
a mask of its people in `masks/X.png` is also varied into a burst.
"""

import datetime as dt
import itertools
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from smart_filter_shared import albums
from smart_filter_shared.best_shot import AlbumPhoto
from smart_filter_workers import images
from smart_filter_workers.results import Matte8, Srgb8
from smart_filter_workers.stages.prepare.stage import compute_perceptual_hash

SEED = 6
SCENES, FRAMES = 60, 5
HALF = 127
NOON = dt.datetime(2031, 1, 1, 12, tzinfo=dt.UTC)


def main(photos: Sequence[Path]) -> None:
    """Print the false pairs, the missed shares, and how bursts are grouped."""
    rng = np.random.default_rng(SEED)
    originals: list[int] = []
    missed: dict[str, list[int]] = defaultdict(list)
    bursts: list[list[int]] = []
    for path in photos:
        srgb = images.decode(path.read_bytes()).srgb
        originals.append(compute_perceptual_hash(srgb))
        for name, changed in _vary(srgb, rng):
            missed[name].append((compute_perceptual_hash(changed) ^ originals[-1]).bit_count())
        mask = _mask(path, srgb)
        if mask is not None:
            frames = [
                compute_perceptual_hash(_move_people(srgb, mask, rng)) for _ in range(FRAMES - 1)
            ]
            missed["burst"].append((frames[0] ^ originals[-1]).bit_count())
            bursts.append([originals[-1], *frames])
    distances = [(left ^ right).bit_count() for left, right in itertools.combinations(originals, 2)]
    limits = (albums.MAX_HAMMING_BITS, albums.MAX_HAMMING_BITS_IN_BURST)
    for limit in limits:
        within = sum(bits <= limit for bits in distances)
        print(f"{within} of {len(distances)} pairs within {limit} bits")
    for name, bits in missed.items():
        shares = [f"{np.mean(np.array(bits) > limit):.1%} above {limit}" for limit in limits]
        print(f"{name}: median {np.median(bits):.0f}, {', '.join(shares)}")
    rng.shuffle(bursts)
    for with_time in (False, True):
        _print_groups(bursts[:SCENES], with_time=with_time)


def _print_groups(bursts: Sequence[Sequence[int]], *, with_time: bool) -> None:
    shots = [
        AlbumPhoto(
            f"{scene}-{frame}",
            fingerprint,
            NOON + dt.timedelta(hours=scene, seconds=2 * frame) if with_time else None,
        )
        for scene, burst in enumerate(bursts)
        for frame, fingerprint in enumerate(burst)
    ]
    groups = [[id_.split("-")[0] for id_ in group.ids] for group in albums.rank_album(shots).groups]
    whole = sum(len(scenes) == FRAMES and len(set(scenes)) == 1 for scenes in groups)
    mixed = sum(len(set(scenes)) > 1 for scenes in groups)
    times = "with times" if with_time else "without times"
    print(f"bursts {times}: {whole} of {len(bursts)} whole, {mixed} groups of several scenes")


def _vary(srgb: Srgb8, rng: np.random.Generator) -> Iterator[tuple[str, Srgb8]]:
    half = _asarray(cv2.resize(srgb, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))
    yield "JPEG at quality 30", images.decode(images.encode_jpeg(srgb, quality=30).content).srgb
    yield "half the size", half
    yield "15 % brighter", _asarray(np.clip(srgb * 1.15, 0, 255))
    yield "15 % darker", _asarray(srgb * 0.85)
    yield "cropped by up to 5 % a side", _crop(srgb, rng)
    yield "shifted by up to 3 %", _rotate(srgb, 0, 0.03, rng)
    yield "turned by up to 1°, shifted by 2 %", _rotate(srgb, 1, 0.02, rng)
    lit = _asarray(np.clip(_crop(half, rng) * rng.uniform(0.85, 1.15), 0, 255))
    yield (
        "half, cropped, relit, JPEG 50",
        images.decode(images.encode_jpeg(lit, quality=50).content).srgb,
    )


def _crop(srgb: Srgb8, rng: np.random.Generator) -> Srgb8:
    height, width = srgb.shape[:2]
    top, bottom, left, right = rng.uniform(0, 0.05, 4) * (height, height, width, width)
    return srgb[int(top) : height - int(bottom), int(left) : width - int(right)]


def _rotate(srgb: Srgb8, degrees: float, shift: float, rng: np.random.Generator) -> Srgb8:
    height, width = srgb.shape[:2]
    angle = rng.uniform(-degrees, degrees)
    matrix = np.array(cv2.getRotationMatrix2D((width / 2, height / 2), angle, 1), np.float64)
    matrix[:, 2] += rng.uniform(-shift, shift, 2) * (width, height)
    mirror = cv2.BORDER_REFLECT
    return _asarray(cv2.warpAffine(srgb, matrix, (width, height), borderMode=mirror))


def _mask(path: Path, srgb: Srgb8) -> Matte8 | None:
    mask_path = path.parent.with_name("masks") / f"{path.stem}.png"
    mask = cv2.imread(str(mask_path), cv2.IMREAD_GRAYSCALE) if mask_path.exists() else None
    return _asarray(mask) if mask is not None and mask.shape == srgb.shape[:2] else None


def _move_people(srgb: Srgb8, mask: Matte8, rng: np.random.Generator) -> Srgb8:
    """Return the photo with people moved by up to 3 % and 3°, and the camera turned by 1°."""
    height, width = mask.shape
    people = (mask > HALF).astype(np.uint8)
    small = (160, max(1, 160 * height // width))
    hole = cv2.resize(cv2.dilate(people, np.ones((9, 9), np.uint8)), small, interpolation=0)
    filled = cv2.inpaint(cv2.resize(srgb, small), hole, 3, cv2.INPAINT_TELEA)
    ground = np.where(people[..., np.newaxis] > 0, cv2.resize(filled, (width, height)), srgb)
    angle, scale = rng.uniform(-3, 3), rng.uniform(0.98, 1.02)
    matrix = np.array(cv2.getRotationMatrix2D((width / 2, height), angle, scale), np.float64)
    matrix[:, 2] += rng.uniform(-0.03, 0.03, 2) * (width, height)
    moved = cv2.warpAffine(srgb, matrix, (width, height), borderMode=cv2.BORDER_REFLECT)
    stand = cv2.warpAffine(people, matrix, (width, height))
    picture = _asarray(np.where(stand[..., np.newaxis] > 0, moved, ground))
    return _rotate(picture, 1, 0.02, rng)


def _asarray(picture: object) -> Srgb8:
    return np.ascontiguousarray(np.asarray(picture).astype(np.uint8))


if __name__ == "__main__":
    main([Path(argument) for argument in sys.argv[1:]])
