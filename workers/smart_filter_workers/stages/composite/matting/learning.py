"""Learning: what a small matte and a small photo say together about the people's edge.

Every number here was chosen by benchmarks/edges.py, which shows what each step gives and costs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from smart_filter_shared.recipe import Edge
from smart_filter_workers.results import Face, Matte8, Srgb8
from smart_filter_workers.stages.composite.matting import (
    bounds,
    closed_form,
    colour_lines,
    heads,
    trimap,
)
from smart_filter_workers.stages.composite.matting.blocks import Floats
from smart_filter_workers.stages.composite.matting.bounds import Bounds
from smart_filter_workers.stages.composite.matting.colour_lines import ColourLines
from smart_filter_workers.stages.composite.matting.trimap import Trimap


@dataclass(frozen=True, slots=True)
class Effort:
    """How much work an edge is worth.

    small_px: the longest side of the picture that coverage is learnt on; radius: of its
    windows; rounds: how often what was learnt is learnt from again; last_radius: of windows
    in which it is learnt once more, closer to the photo; None: not at all.  solved_px: the
    longest side of the picture that it is solved on in closed form before that; None: not at all.
    doubts: whether colours that tell nothing are not believed.  veil: coverage so near to none
    or whole is that; what is left otherwise is noise, and shows as a veil.  binds: whether the
    edge keeps near the matte's where no hair is likely.
    """

    small_px: int
    radius: int
    rounds: int
    last_radius: int | None
    solved_px: int | None = None
    doubts: bool = True
    veil: float = 0.05
    binds: bool = True


@dataclass(frozen=True, slots=True)
class Learnt:
    """What is known of a matte on the small picture.

    srgb: (h, w, 3) uint8; coverage: (h, w) float32, 0..1; lines: (h, w, 4) float32, as
    ColourLines.drawn has them, None where there is no edge.  bounds: what lines may tell, as
    bounds.of has it, of any size; None: anything.
    """

    srgb: Srgb8
    coverage: Floats
    lines: Floats | None
    bounds: Bounds | None = None


EFFORTS: Final = {
    Edge.FAST: Effort(small_px=256, radius=3, rounds=2, last_radius=None),
    Edge.BALANCED: Effort(small_px=320, radius=4, rounds=4, last_radius=2),
    Edge.BEST: Effort(small_px=320, radius=4, rounds=4, last_radius=2, solved_px=640),
}
# An edge may lie so far from where the matte has it, on the small picture.
REACH_PX: Final = 1
# And so far near heads: networks draw hair with some of what is behind it.
HAIR_REACH_PX: Final = 3
# What the matte says where it is unsure counts so much.
UNSURE_WEIGHT: Final = 0.3
# Of the coverage's variance colours explain so much: they are believed not at all, wholly.
DOUBTED, BELIEVED = 0.25, 0.8
# Where colours are doubted the matte's own edge is drawn, so much steeper: haze is worse than
# an edge that is a pixel off.
STEEPER: Final = 3.0


def learnt(
    matte: Matte8,
    *,
    proxy_srgb: Srgb8,
    effort: Effort,
    faces: Sequence[Face] = (),
    scale: float = 1,
) -> Learnt:
    """Return what colours say about the edge of a matte.

    matte: (h, w) uint8; proxy_srgb: (h, w, 3) uint8; faces: in pixels of a photo that is `scale`
    times as large as they are.
    """
    small, srgb = _shrunk(matte, effort.small_px), _shrunk(proxy_srgb, effort.small_px)
    coverage = np.divide(small, 255, dtype=np.float32)
    known = trimap.of(small, reach_px=REACH_PX)
    if known.is_decided():
        return Learnt(srgb, coverage, None)
    scale *= matte.shape[1] / small.shape[1]
    if effort.binds:
        hair = heads.hair(faces, scale=scale, size=(coverage.shape[0], coverage.shape[1]))
        openness = np.maximum(hair, heads.fur(faces, scale=scale, sure=known.sure))
        known = trimap.wider(known, small, where=hair, reach_px=HAIR_REACH_PX)
    coverage[known.people] = 1
    coverage[known.backdrop] = 0
    lines, doubt = _lines(coverage, srgb, known, effort)
    coverage = colour_lines.told(lines, srgb)
    bound = None
    if effort.binds:
        bound = bounds.of(coverage, small, openness)
        coverage = bounds.kept(coverage, bound)
    if effort.solved_px is not None:
        srgb = _shrunk(proxy_srgb, effort.solved_px)
        size = (srgb.shape[1], srgb.shape[0])
        coverage = closed_form.solved(_resized(coverage, size), srgb, doubt=_resized(doubt, size))
    if effort.last_radius is not None:
        everywhere = np.ones_like(coverage)
        lines = ColourLines(srgb, everywhere, radius=effort.last_radius).drawn(coverage)
    lines = _unveiled(lines, effort.veil)
    coverage = colour_lines.told(lines, srgb)
    if bound is not None:
        size = (coverage.shape[1], coverage.shape[0])
        coverage = bounds.kept(coverage, _resized(bound, size))
    return Learnt(srgb, coverage, lines, bound)


def _lines(coverage: Floats, srgb: Srgb8, known: Trimap, effort: Effort) -> tuple[Floats, Floats]:
    """Return (h, w, 4) lines, and how little colours tell, (h, w), 0..1; `coverage` is used up."""
    sure = known.sure
    weight = np.where(sure, np.float32(1), np.float32(UNSURE_WEIGHT))
    colours = ColourLines(srgb, weight, radius=effort.radius)
    otherwise = np.clip((coverage - 0.5) * STEEPER + 0.5, 0, 1)
    for _ in range(effort.rounds):
        lines = colours.drawn(coverage)
        np.copyto(coverage, colours.told(lines), where=~sure)
    if not effort.doubts:
        return lines, np.zeros_like(coverage)
    doubt = (BELIEVED - colours.explained(coverage)) / (BELIEVED - DOUBTED)
    np.clip(doubt, 0, 1, out=doubt)
    lines *= (1 - doubt)[..., np.newaxis]
    lines[..., 3] += otherwise * doubt
    return lines, doubt


def _unveiled(lines: Floats, veil: float) -> Floats:
    """Return lines that tell none and whole a little sooner."""
    lines /= 1 - 2 * veil
    lines[..., 3] -= veil / (1 - 2 * veil)
    return lines


def _resized(plane: Floats, size: tuple[int, int]) -> Floats:
    """Return (h, w[, n]) float32 at another size, (width, height)."""
    return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR), np.float32)


def _shrunk(pixels: Srgb8 | Matte8, longest_px: int) -> Srgb8 | Matte8:
    """Return (h, w[, 3]) uint8 with no side above `longest_px`.

    Halving by area and a last bilinear step take a fifth of the time of area alone.
    """
    while max(pixels.shape[:2]) >= 2 * longest_px and min(pixels.shape[:2]) > 1:
        height, width = pixels.shape[0] // 2, pixels.shape[1] // 2
        even = pixels[: 2 * height, : 2 * width]
        pixels = np.asarray(cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA))
    height, width = pixels.shape[:2]
    scale = longest_px / max(height, width)
    if scale >= 1:
        return pixels
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR), np.uint8)
