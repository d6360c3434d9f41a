"""Prepare stage: turn the photo upright, make the models' proxy, and propose faces."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, TypedDict

import numpy as np
from numpy.typing import NDArray

from smart_filter_shared.results import Face
from smart_filter_workers import images
from smart_filter_workers.networks.coordinates import to_photo
from smart_filter_workers.opencv import cv2
from smart_filter_workers.resampling import resize, shrink
from smart_filter_workers.results import Photo, PreparedPhoto, Srgb8
from smart_filter_workers.stages.prepare.copy_traces import find_content, measure_traces
from smart_filter_workers.stages.prepare.models.base import LightDetector, OrientationReader

# Four times the input of the default networks, so that a closer look gains detail and the matte's
# edge can follow the picture's.
PROXY_LONGEST_SIDE_PX: Final = 1024
_PREVIEW_QUALITY: Final = 85

SIDE_PX: Final = 32
BITS: Final = 64


class Models(TypedDict):
    """The models of this stage, by task."""

    prepare: LightDetector
    orientation: OrientationReader


@dataclass(frozen=True, slots=True)
class Inputs:
    """The stage's inputs for one job."""

    photo: Photo


def run(models: Models, batch: Sequence[Inputs]) -> list[PreparedPhoto]:
    """Return each photo upright, with its proxy and its proposed faces."""
    proxies = [make_proxy(inputs.photo.srgb) for inputs in batch]
    faces_by_proxy = models["prepare"](proxies)
    turns = models["orientation"](proxies, faces_by_proxy)
    return [
        _prepare_photo(models["prepare"], inputs.photo, proxy, faces, turn)
        for inputs, proxy, faces, turn in zip(batch, proxies, faces_by_proxy, turns, strict=True)
    ]


def _prepare_photo(
    detect: LightDetector, photo: Photo, proxy: Srgb8, faces: tuple[Face, ...], turn: int
) -> PreparedPhoto:
    height, width = photo.srgb.shape[:2]
    if turn % 2:
        height, width = width, height
    if turn:
        proxy = images.rotate_quarter_turns(proxy, turn)
        (faces,) = detect([proxy])
    content = find_content(proxy)
    prepared = PreparedPhoto(
        width=width,
        height=height,
        format=photo.format,
        proxy_srgb=proxy,
        proposals=(),
        quarter_turns=turn,
        # Bars do not make another scene.
        fingerprint=compute_perceptual_hash(np.ascontiguousarray(proxy[content])),
        taken_at=photo.taken_at,
        traces=replace(
            measure_traces(
                images.rotate_quarter_turns(photo.srgb, turn), proxy, content, quantum=photo.quantum
            ),
            was_turned=turn > 0,
            is_from_camera=photo.taken_at is not None,
        ),
        preview=images.encode_jpeg(proxy, quality=_PREVIEW_QUALITY),
    )
    return replace(prepared, proposals=tuple(to_photo(face, prepared) for face in faces))


def make_upright_proxy(photo_srgb: Srgb8, quarter_turns: int) -> Srgb8:
    """Return the proxy of a photo that is turned counter-clockwise by quarter turns, 0 to 3.

    photo_srgb: (H, W, 3) uint8.  Returns (h, w, 3) uint8, as in PreparedPhoto.
    """
    return images.rotate_quarter_turns(make_proxy(photo_srgb), quarter_turns)


def make_proxy(photo_srgb: Srgb8) -> Srgb8:
    """Return the photo shrunk until no side is above PROXY_LONGEST_SIDE_PX; never enlarge it.

    photo_srgb: (H, W, 3) uint8.  Returns (h, w, 3) uint8; the same array if it is small enough.
    """
    return shrink(photo_srgb, longest_side=PROXY_LONGEST_SIDE_PX)


def compute_perceptual_hash(proxy_srgb: Srgb8) -> int:
    """Return the signs of the photo's 64 longest DCT waves as 64 bits.

    proxy_srgb: (h, w, 3) uint8 sRGB, upright.  Photos of one scene differ in few bits, others in
    half of them: see `smart_filter_shared.albums`.  A sign does not change with brightness.
    Source: Zauner 2010, "Implementation and benchmarking of perceptual image hash functions",
    3.2.1, the DCT hash. Here the bits are signs, which need no median, and the waves are chosen by
    length, because the longest survive cropping best.
    """
    small = resize(proxy_srgb, width=SIDE_PX, height=SIDE_PX)
    waves = cv2.dct(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32))
    bits = waves[_longest_waves()] > 0
    return int.from_bytes(np.packbits(bits).tobytes())


def _longest_waves() -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return rows and columns of the BITS longest waves, without the mean, in a fixed order."""
    rows, columns = np.indices((SIDE_PX, SIDE_PX)).reshape(2, -1)
    order = np.lexsort((rows, rows + columns))[1 : 1 + BITS]
    return rows[order], columns[order]
