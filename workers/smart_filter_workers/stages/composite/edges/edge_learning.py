"""Learn the people's edge from a small matte and a small photo together.

The numbers were chosen by benchmarks/edges.py on drawn scenes, which shows the effect and cost of
each step, and by benchmarks/edges_of_photos.py on photos. benchmarks/soft_edges.py compares all of
the step, half of it and none on soft, exactly known edges: all is best for every kind of edge.

A color line leaks along the background's texture: between slabs of pavement it draws combs on a
bare leg. Where hair is likely that is accepted. Elsewhere people are smooth, and their outline
stays close to the matte's.
"""

import hashlib
import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from cachetools import LRUCache
from numpy.typing import NDArray

from smart_filter_shared.recipe import Edge
from smart_filter_shared.results import Face
from smart_filter_workers.opencv import cv2
from smart_filter_workers.resampling import resize
from smart_filter_workers.results import Bools, Bytes, Floats, Matte8, Srgb8
from smart_filter_workers.stages.composite.edges import closed_form, color_lines, heads
from smart_filter_workers.stages.composite.edges.color_lines import ColorLines

# Up to this many groups of people each get a whole effort; more share the effort of these.
FULL_GROUPS: Final = 4
# Most distance of an edge from its place in the matte, in pixels of the small picture.
REACH_PX: Final = 1
# The same into the background near hair: networks lose the outer strands of hair.
HAIR_REACH_PX: Final = 3
# A difference of coverage that is less than half a level of 255.
INVISIBLE: Final = 1 / 512
# Weight of the matte where it is unsure.
UNSURE_WEIGHT: Final = 0.3
# Shares of variance that colors explain: below the first they are ignored, from the second on fully
# used. The refiner's matte is better than colors that explain less; in hair it lacks the strands.
DOUBTED, BELIEVED = 0.7, 0.95
HAIR_DOUBTED, HAIR_BELIEVED = 0.4, 0.85
# From this share of explained variance on there is hardly any noise.
EXPLAINED: Final = 0.97
# Where colors are ignored the matte's own edge is used, this much steeper: haze is worse than an
# edge that is a pixel off.
MATTE_STEEPNESS: Final = 3.0

# One for each group of people: it takes 3 MB at most, with `best` 12.
_MAX_EDGES: Final = 8

# Pixels of the picture for each sampled pixel, along each axis.
STEPS: Final = (1, 1.5, 2, 3, 4, 6)
# Greatest width of the matte's soft band, in sampled pixels: the windows that edges are learned
# from must reach across it.
MAX_SOFT_PX: Final = 2.5
# A matte that is nowhere sure is not made ever smaller for that.
MAX_SOFT_STEP: Final = 3

# A matte is sure below and above these levels, unless it is unsure next to them.
SURELY_NONE: Final = 12
SURELY_WHOLE: Final = 243

# Blur of the outline, in pixels of the small picture: wider than combs, finer than fingers.
SMOOTH_SIGMA_PX: Final = 1.2
# Distance that colors may move the smooth outline from the matte's, in pixels of the matte.
BOUND_REACH_PX: Final = 1
# The bounds go from 0 to 1 in 1 / EDGE_STEEPNESS of a blurred edge's slope, and lie SLACK, in
# coverage, on both sides of the smooth outline. With more slack the noise of colors frays smooth
# edges; with none, corners are cut.
EDGE_STEEPNESS: Final = 4.0
SLACK: Final = 0.15
HAIR_SLACK: Final = 4.0  # in coverage: hair is not bounded

# (h, w, 2) float32: least and most coverage; beyond 0..1 where there is no bound.
Bounds = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Effort:
    """Settings of one level of work on an edge.

    small_size: about the number of pixels that coverage is learned on; radius: of its windows;
    rounds: repetitions, each learning from the last result; last_radius: windows of a final round,
    closer to the photo; None skips it.  solved_size: about the number of pixels for solving in
    closed form before that; None skips it. doubts: whether results are ignored where colors cannot
    decide.  veil: coverage this close to 0 or 1 is set to it; the rest would be noise that shows as
    a veil; doubted_veil, hair_veil: the same where colors explain less, and there where hair is
    likely.  binds: whether the edge stays close to the matte's where hair is unlikely.
    """

    small_size: int
    radius: int
    rounds: int
    last_radius: int | None
    solved_size: int | None = None
    doubts: bool = True
    veil: float = 0.05
    doubted_veil: float = 0.2
    hair_veil: float = 0.15
    binds: bool = True

    def split(self, groups: int) -> "Effort":
        """Return the effort for each of some groups of people, which bounds the time of all."""
        if groups <= FULL_GROUPS:
            return self
        share = FULL_GROUPS / groups
        solved = None if self.solved_size is None else round(self.solved_size * share)
        return replace(self, small_size=round(self.small_size * share), solved_size=solved)


@dataclass(frozen=True, slots=True)
class SmallInputs:
    """The small picture that an edge is learned on.

    matte: (h, w) uint8; srgb: (h, w, 3) uint8.  solved_srgb: (H, W, 3) uint8, for solving in closed
    form; None when that is skipped.  proxy_width: width of the matte that `matte` was made from.
    """

    matte: Matte8
    srgb: Srgb8
    solved_srgb: Srgb8 | None
    proxy_width: int


@dataclass(frozen=True, slots=True)
class LearnedEdge:
    """The edge of a matte as learned on the small picture.

    srgb: (h, w, 3) uint8; coverage: (h, w) float32, 0..1; lines: (h, w, 4) float32, from
    ColorLines.fit_lines, None without an edge.  bounds: limits of the lines' coverage, from
    compute_bounds, of any size; None for no limits.
    """

    srgb: Srgb8
    coverage: Floats
    lines: Floats | None
    bounds: Bounds | None = None


EFFORTS: Final = {
    Edge.FAST: Effort(small_size=55_000, radius=4, rounds=2, last_radius=None),
    Edge.BALANCED: Effort(small_size=55_000, radius=4, rounds=4, last_radius=2),
    Edge.HARD: Effort(small_size=55_000, radius=4, rounds=4, last_radius=2),
    Edge.BEST: Effort(small_size=76_800, radius=4, rounds=4, last_radius=2, solved_size=307_200),
}


def shrink_inputs(matte: Matte8, proxy_srgb: Srgb8, *, effort: Effort) -> SmallInputs:
    """Return the small picture that an edge is learned on.

    matte: (h, w) uint8; proxy_srgb: (h, w, 3) uint8.
    """
    step = choose_step(matte, size=effort.small_size)
    solved = None
    if effort.solved_size is not None:
        solved_step = choose_step(matte, size=effort.solved_size)
        solved = shrink_by_step(proxy_srgb, min(step, solved_step))
    return SmallInputs(
        matte=shrink_by_step(matte, step),
        srgb=shrink_by_step(proxy_srgb, step),
        solved_srgb=solved,
        proxy_width=matte.shape[1],
    )


def learn_edge(
    inputs: SmallInputs, *, effort: Effort, faces: Sequence[Face] = (), scale: float = 1
) -> LearnedEdge:
    """Return the edge of a matte as learned from colors.

    faces: in pixels of a photo that is `scale` times as large as the matte was.
    """
    small, srgb = inputs.matte, inputs.srgb
    coverage = np.divide(small, 255, dtype=np.float32)
    areas = find_trimap(small, reach_px=REACH_PX)
    if areas.is_decided():
        return LearnedEdge(srgb, coverage, None)
    scale *= inputs.proxy_width / small.shape[1]
    hair = heads.hair_likelihood(faces, scale=scale, size=(coverage.shape[0], coverage.shape[1]))
    hair *= heads.hair_nearby(srgb, areas.people, faces, scale=scale)
    openness = np.maximum(hair, heads.fur_likelihood(faces, scale=scale, sure=areas.sure))
    if effort.binds:
        areas = widen_outward(areas, small, where=hair, reach_px=HAIR_REACH_PX)
    coverage[areas.people] = 1
    coverage[areas.backdrop] = 0
    lines, explained = _lines(coverage, srgb, areas, openness, effort)
    coverage = color_lines.evaluate_lines(lines, srgb)
    bound = None
    if effort.binds:
        bound = compute_bounds(coverage, small, openness)
        coverage = clip_coverage(coverage, bound)
    if inputs.solved_srgb is not None:
        srgb = inputs.solved_srgb
        size = (srgb.shape[1], srgb.shape[0])
        doubt = _resize(_doubt_colors(explained, openness), size)
        coverage = closed_form.solve(_resize(coverage, size), srgb, doubt=doubt)
        lines = _resize(lines, size)
    if effort.last_radius is not None:
        around = np.ones((3, 3), np.uint8)
        varies = cv2.morphologyEx(coverage, cv2.MORPH_GRADIENT, around) > INVISIBLE
        everywhere = np.ones_like(coverage)
        closer = ColorLines(srgb, everywhere, radius=effort.last_radius, unsure=varies)
        lines = closer.fit_lines(coverage)
    most = effort.doubted_veil + (effort.hair_veil - effort.doubted_veil) * openness
    veil = effort.veil + (most - effort.veil) * _ramp(explained, EXPLAINED, BELIEVED)
    lines = _remove_veil(
        lines, _resize(np.asarray(veil, np.float32), (lines.shape[1], lines.shape[0]))
    )
    coverage = color_lines.evaluate_lines(lines, srgb)
    if bound is not None:
        size = (coverage.shape[1], coverage.shape[0])
        coverage = clip_coverage(coverage, _resize(bound, size))
    return LearnedEdge(srgb, coverage, lines, bound)


@dataclass(frozen=True, slots=True)
class Trimap:
    """Two masks, (h, w) bool; where neither is set the matte is unsure."""

    people: Bools
    backdrop: Bools

    @property
    def sure(self) -> Bools:
        """The pixels where the matte is right as it is, (h, w)."""
        return self.people | self.backdrop

    def is_decided(self) -> bool:
        """Return whether nothing can be learned: all is sure, or one side is nowhere sure."""
        return not self.people.any() or not self.backdrop.any() or bool(self.sure.all())


def _lines(
    coverage: Floats, srgb: Srgb8, areas: Trimap, openness: Floats, effort: Effort
) -> tuple[Floats, Floats]:
    """Return (h, w, 4) lines, and the share of variance that they explain, (h, w), 0..1.

    coverage: changed in place.
    """
    sure = areas.sure
    weight = np.where(sure, np.float32(1), np.float32(UNSURE_WEIGHT))
    fitted = ColorLines(srgb, weight, radius=effort.radius, unsure=~sure)
    otherwise = np.clip((coverage - 0.5) * MATTE_STEEPNESS + 0.5, 0, 1)
    for _ in range(effort.rounds):
        lines = fitted.fit_lines(coverage)
        fitted.apply_lines(coverage, lines)
    if not effort.doubts:
        return lines, np.ones_like(coverage)
    explained = fitted.measure_explained(coverage)
    doubt = _doubt_colors(explained, openness)
    lines *= cv2.merge([1 - doubt] * 4)
    lines[..., 3] += otherwise * doubt
    return lines, explained


def _doubt_colors(explained: Floats, openness: Floats) -> Floats:
    """Return how far colors are ignored, (h, w), 0..1; openness: the likelihood of hair."""
    smooth = _ramp(explained, BELIEVED, DOUBTED)
    hair = _ramp(explained, HAIR_BELIEVED, HAIR_DOUBTED)
    return np.asarray(smooth + (hair - smooth) * openness, np.float32)


def _ramp(values: Floats, none: float, whole: float) -> Floats:
    """Return 0 at `none` and beyond, 1 at `whole` and beyond, and linear in between."""
    return np.asarray(np.clip((values - none) / (whole - none), 0, 1), np.float32)


def _remove_veil(lines: Floats, veil: Floats) -> Floats:
    """Return lines that reach coverage 0 and 1 a little earlier."""
    whole = 1 / (1 - 2 * veil)
    lines *= cv2.merge([whole] * 4)
    lines[..., 3] -= veil * whole
    return lines


def _resize(plane: Floats, size: tuple[int, int]) -> Floats:
    """Return (h, w[, n]) float32 resized to (width, height)."""
    return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR), np.float32)


class EdgeCache:
    """Learned edges by everything that they depend on; safe for threads."""

    def __init__(self) -> None:
        self._edges: LRUCache[bytes, LearnedEdge] = LRUCache(_MAX_EDGES)
        self._lock = threading.Lock()

    def learn_edge(
        self,
        matte: Matte8,
        *,
        proxy_srgb: Srgb8,
        effort: Effort,
        faces: Sequence[Face],
        scale: float,
    ) -> LearnedEdge:
        """Return the edge of a matte as learned from colors, which the caller must not change.

        matte: (h, w) uint8; proxy_srgb: (h, w, 3) uint8; faces: in pixels of a photo that is
        `scale` times as large.
        """
        inputs = shrink_inputs(matte, proxy_srgb, effort=effort)
        # Hashing takes 0.3 ms, learning 10 to 20.
        key = _digest(inputs, effort, faces, scale)
        with self._lock:
            edge = self._edges.get(key)
        if edge is None:
            edge = learn_edge(inputs, effort=effort, faces=faces, scale=scale)
            with self._lock:
                self._edges[key] = edge
        return edge


def _digest(inputs: SmallInputs, effort: Effort, faces: Sequence[Face], scale: float) -> bytes:
    pictures = [inputs.matte, inputs.srgb]
    if inputs.solved_srgb is not None:
        pictures.append(inputs.solved_srgb)
    shapes = [picture.shape for picture in pictures]
    facts = (effort, shapes, inputs.proxy_width, scale, [face.box for face in faces])
    digest = hashlib.blake2b(repr(facts).encode())
    for picture in pictures:
        digest.update(np.ascontiguousarray(picture).data)
    return digest.digest()


def choose_step(matte: Matte8, *, size: int) -> float:
    """Return the step of STEPS that samples a matte, (h, w) uint8, to about `size` pixels."""
    by_softness = min(_measure_softness(matte) / MAX_SOFT_PX, MAX_SOFT_STEP)
    wanted = max(math.sqrt(matte.size / size), by_softness, 1)
    return min(STEPS, key=lambda step: abs(math.log(step / wanted)))


def shrink_by_step(pixels: Bytes, step: float) -> Bytes:
    """Return a picture or matte, (h, w[, 3]) uint8, `step` times smaller, as a copy."""
    height, width = pixels.shape[:2]
    small = resize(pixels, width=max(1, round(width / step)), height=max(1, round(height / step)))
    return np.array(small, order="C")


def _measure_softness(matte: Matte8) -> float:
    """Return the mean width of a matte's soft band, in pixels."""
    soft = cv2.countNonZero(cv2.inRange(matte, SURELY_NONE + 1, SURELY_WHOLE - 1))
    people = cv2.inRange(matte, 128, 255)
    inner = cv2.erode(people, np.ones((3, 3), np.uint8))
    return soft / max(1, cv2.countNonZero(people) - cv2.countNonZero(inner))


def find_trimap(matte: Matte8, *, reach_px: int) -> Trimap:
    """Return a matte's trimap, two masks of its size.

    matte: (h, w) uint8.  The unsure band is as wide as the matte is soft, and `reach_px` wider: an
    edge may be that far from where a network saw it.
    """
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach_px + 1,) * 2)
    people = cv2.erode(cv2.inRange(matte, SURELY_WHOLE, 255), disc)
    backdrop = cv2.erode(cv2.inRange(matte, 0, SURELY_NONE), disc)
    return Trimap(people > 0, backdrop > 0)


def widen_outward(areas: Trimap, matte: Matte8, *, where: Floats, reach_px: int) -> Trimap:
    """Return the trimap with a wider reach into the background where `where` is over one half.

    matte: (h, w) uint8; where: (h, w) float32, 0..1.
    """
    elsewhere = where <= 0.5  # noqa: PLR2004 - a half
    wider = find_trimap(matte, reach_px=reach_px)
    made = Trimap(areas.people, areas.backdrop & (elsewhere | wider.backdrop))
    return areas if made.is_decided() else made


def compute_bounds(coverage: Floats, matte: Matte8, openness: Floats) -> Bounds:
    """Return the least and the most coverage that color lines may give, (h, w, 2).

    coverage: (h, w) float32, 0..1, as learned; matte: (h, w) uint8, the matte that it was learned
    from; openness: (h, w) float32, 0..1, the likelihood of hair.
    """
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * BOUND_REACH_PX + 1,) * 2)
    least, most = (
        np.divide(change(matte, disc), 255, dtype=np.float32) for change in (cv2.erode, cv2.dilate)
    )
    near = np.clip(coverage, least, most)
    side = (2 * round(3 * SMOOTH_SIGMA_PX) - 1,) * 2
    smooth = cv2.GaussianBlur(near, side, SMOOTH_SIGMA_PX, borderType=cv2.BORDER_REPLICATE)
    middle = (smooth - 0.5) * EDGE_STEEPNESS + 0.5
    slack = SLACK + openness * HAIR_SLACK
    return np.asarray(cv2.merge([middle - slack, middle + slack]), np.float32)


def clip_coverage(coverage: Floats, bounds: Bounds) -> Floats:
    """Return the coverage, (h, w) float32, 0..1, within bounds, (h, w, 2)."""
    within = cv2.min(cv2.max(coverage, bounds[..., 0]), bounds[..., 1])
    return np.asarray(np.clip(within, 0, 1), np.float32)
