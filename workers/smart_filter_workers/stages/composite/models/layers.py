"""Layers: the photo's people, with their own colors along the edge, over a background.

Colors are mixed gamma-coded. Linear light would be physically correct, but people cut from a bright
backdrop then keep a bright seam, on every photo that was compared.

Edges are learned in a box around each group of people, not in the whole photo: people who fill a
third of it get three times the pixels of the small picture, and what happens far from them does not
change their edge.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from smart_filter_shared.catalog.model_card import Commercial, ModelCard
from smart_filter_shared.pipeline import TaskName
from smart_filter_shared.recipe import Edge
from smart_filter_shared.results import Face
from smart_filter_workers.backgrounds.colors import apply_curves
from smart_filter_workers.connected_parts import locate_parts
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import WHOLE_LEVEL, Bools, Bytes, Floats, Matte8, Srgb8, Srgba8
from smart_filter_workers.stages.composite.edges import edge_pixels
from smart_filter_workers.stages.composite.edges.edge_learning import (
    EFFORTS,
    SURELY_NONE,
    EdgeCache,
    Effort,
)
from smart_filter_workers.stages.composite.edges.edge_pixels import EdgePixels, find_edge_pixels
from smart_filter_workers.stages.composite.models.base import Compositor, CutOut

CARD: Final = ModelCard(
    name="layers",
    version="5",
    task=TaskName.COMPOSITE,
    family="layers",
    title="Matte learned from colors, and blur-fused edge colors",
    source="He & Sun 2015, fast guided filter; Forte 2021, blur fusion",
    license="Apache-2.0",
    data_terms="",
    commercial=Commercial.YES,
    default=True,
)
STRIP_ROWS: Final = 128
_RGBA: Final = 4

# Boxes consist of whole cells of a grid, counted from the picture's corner: a box that grows is
# sampled at the same places. A cell is a whole number of pixels at each step of `sampling`.
CELL_PX: Final = 12
# Margin as a share of a box's longest side: wider than the windows that edges are learned from.
MARGIN_SHARE: Final = 0.05
# More groups than this share one box: crowds.
MAX_BOXES: Final = 16
# Chosen by benchmarks.soft_edges.
LENS_SIGMA_PX: Final = 0.55
# Longest side of the map of the whole photo's colors.
MAX_COLORS_PX: Final = 512


def load(weights: Path) -> Compositor:  # noqa: ARG001 - all models share one signature
    """Return the compositor; it has no weights."""
    return _Layers(EdgeCache())


@dataclass(frozen=True, slots=True)
class _Layers:
    """Composites layers; any thread may use it."""

    edges: EdgeCache

    def cut(
        self,
        photo_srgb: Srgb8,
        *,
        proxy_srgb: Srgb8,
        matte: Matte8,
        edge: Edge,
        faces: Sequence[Face] = (),
    ) -> CutOut:
        """Return the cut-out: the matte at the photo's size, and the colors along its edge."""
        return cut_out(
            photo_srgb,
            proxy_srgb=proxy_srgb,
            matte=matte,
            faces=faces,
            effort=EFFORTS[edge],
            edges=self.edges,
        )

    def over(self, cut: CutOut, ground: Srgb8 | Srgba8) -> Srgb8 | Srgba8:
        """Composite the people onto a ground, in place."""
        inner = edge_pixels.find_inner(cut.matte)
        _lay_whole(cut, inner, ground)
        for edge in find_edge_pixels(inner):
            alpha, people = _unmix(cut, inner, edge)
            behind = edge.take(ground).astype(np.float32)
            if ground.shape[2] == _RGBA:
                people = _lay_over_transparent(people, alpha, behind)
            else:
                # Ground + (people - ground) · alpha, in place.
                people -= behind
                people *= cv2.merge([alpha] * 3)
                people += behind
            people += 0.5
            edge.put(ground, people.astype(np.uint8))
        return ground


def cut_out(
    photo_srgb: Srgb8,
    *,
    proxy_srgb: Srgb8,
    matte: Matte8,
    faces: Sequence[Face],
    effort: Effort,
    edges: EdgeCache,
) -> CutOut:
    """Return the cut-out as Compositor.cut does; edges are learned in boxes around people."""
    height, width = photo_srgb.shape[:2]
    scale = width / matte.shape[1]
    # Invisible levels would end at the border of a box.
    matte = np.asarray(
        cv2.threshold(matte, SURELY_NONE, WHOLE_LEVEL, cv2.THRESH_TOZERO)[1], np.uint8
    )
    large = np.zeros((height, width), np.uint8)
    places, maps = [], []
    boxes = find_people_boxes(matte)
    effort = effort.split(len(boxes))
    for box in boxes:
        place = box.scaled(scale, height / matte.shape[0])
        learned = edges.learn_edge(
            box.crop(matte),
            proxy_srgb=box.crop(proxy_srgb),
            effort=effort,
            faces=[place.move(face) for face in faces],
            scale=scale,
        )
        place.crop(large)[:] = edge_pixels.upsample(learned, place.crop(photo_srgb))
        places.append(place)
        maps.append(edge_pixels.estimate_colors(learned.srgb, learned.coverage))
    # Learned edges are sharper than a lens and JPEG draw them.
    cv2.GaussianBlur(large, (3, 3), LENS_SIGMA_PX, dst=large)
    people, backdrop = (
        join_maps(colors, places, width=width, height=height) for colors in zip(*maps, strict=True)
    )
    return CutOut(photo_srgb, large, people, backdrop)


def _lay_over_transparent(people: Floats, alpha: Floats, behind: Floats) -> Floats:
    """Return people, (1, n, 3), of some coverage, (1, n, 1), over a ground, (1, n, 4).

    Source: Porter & Duff 1984, "Compositing digital images", over.
    """
    share = (1 - alpha) * behind[..., 3:] / np.float32(WHOLE_LEVEL)
    covered = alpha + share
    mixed = (people * alpha + behind[..., :3] * share) / covered
    return np.asarray(cv2.merge([mixed, covered * np.float32(WHOLE_LEVEL)]), np.float32)


def _lay_whole(cut: CutOut, inner: Matte8, ground: Srgb8 | Srgba8) -> None:
    """Copy the people where they are alone, strip by strip, to avoid a full-size copy."""
    for top in range(0, len(ground), STRIP_ROWS):
        rows = slice(top, top + STRIP_ROWS)
        people = apply_curves(cut.curves, cut.photo_srgb[rows])
        if ground.shape[2] == _RGBA:
            people = np.asarray(cv2.cvtColor(people, cv2.COLOR_RGB2RGBA), np.uint8)
        cv2.copyTo(people, cv2.inRange(inner[rows], WHOLE_LEVEL, WHOLE_LEVEL), ground[rows])


def _unmix(cut: CutOut, inner: Matte8, edge: EdgePixels) -> tuple[Floats, Floats]:
    """Return alpha, (1, n, 1), and the people's colors, (1, n, 3), of edge pixels."""
    alpha, alone = (
        np.divide(edge.take(level), WHOLE_LEVEL, dtype=np.float32)[..., np.newaxis]
        for level in (cut.matte, inner)
    )
    colors = apply_curves(cut.curves, edge.take(cut.photo_srgb)).astype(np.float32)
    if cut.own_colors:
        return alpha, colors
    people, backdrop = edge.enlarge(cut.people_srgb), edge.enlarge(cut.backdrop_srgb)
    colors = edge_pixels.unmix_foreground(colors, alpha, people, backdrop)
    return alpha, edge_pixels.remove_backdrop(colors, alone, people, backdrop)


@dataclass(frozen=True, slots=True)
class PeopleBox:
    """A part of a picture, in pixels; right and bottom are the first ones outside."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        """In pixels."""
        return self.right - self.left

    @property
    def height(self) -> int:
        """In pixels."""
        return self.bottom - self.top

    def crop(self, pixels: Bytes) -> Bytes:
        """Return this part of a picture, (H, W[, n]), as a view."""
        return pixels[self.top : self.bottom, self.left : self.right]

    def scaled(self, x: float, y: float) -> "PeopleBox":
        """Return the same part of a picture that is `x` times as wide and `y` times as high."""
        return PeopleBox(
            round(self.left * x), round(self.top * y), round(self.right * x), round(self.bottom * y)
        )

    def move(self, face: Face) -> Face:
        """Return a face with its box in pixels of this part; the landmarks stay as they are."""
        x, y, width, height = face.box
        return replace(face, box=(x - self.left, y - self.top, width, height))


def find_people_boxes(matte: Matte8) -> list[PeopleBox]:
    """Return boxes around the groups of people in a matte, (h, w) uint8; everything without any.

    They do not overlap.
    """
    height, width = matte.shape
    boxes: list[PeopleBox] = []
    _, stats = locate_parts(_shown_cells(matte))
    for left, top, across, down, _ in stats[1:].tolist():
        margin = math.ceil(MARGIN_SHARE * max(across, down))
        cells = left - margin, top - margin, left + across + margin, top + down + margin
        sides = [max(0, CELL_PX * cell) for cell in cells]
        boxes = _add(
            boxes, PeopleBox(sides[0], sides[1], min(width, sides[2]), min(height, sides[3]))
        )
    if not boxes:
        return [PeopleBox(0, 0, width, height)]
    return boxes if len(boxes) <= MAX_BOXES else [_around(boxes)]


def join_maps(
    maps: Sequence[Floats], boxes: Sequence[PeopleBox], *, width: int, height: int
) -> Floats:
    """Return small maps, (h, w, n) float32, of boxes as one map of the whole picture.

    width, height: the picture's.  Its places are exact to half a pixel; it is 0 outside the boxes.
    """
    if boxes == [PeopleBox(0, 0, width, height)]:
        return maps[0]
    # The same for any boxes: what is far from a person must not change their colors.
    pitch = min(1, MAX_COLORS_PX / max(width, height))
    whole = np.zeros(
        (math.ceil(height * pitch), math.ceil(width * pitch), maps[0].shape[2]), np.float32
    )
    for part_map, box in zip(maps, boxes, strict=True):
        part = box.scaled(whole.shape[1] / width, whole.shape[0] / height)
        if part.width and part.height:
            size = (part.width, part.height)
            cv2.resize(part_map, size, dst=whole[part.top : part.bottom, part.left : part.right])
    return whole


def _shown_cells(matte: Matte8) -> Bools:
    """Return the cells of the grid that show some of the people, (rows, columns)."""
    height, width = matte.shape
    below, right = -height % CELL_PX, -width % CELL_PX
    padded = cv2.copyMakeBorder(matte, 0, below, 0, right, cv2.BORDER_REPLICATE)
    rows, columns = padded.shape[0] // CELL_PX, padded.shape[1] // CELL_PX
    # One axis after the other: both at once take eight times as long.
    levels = padded.reshape(rows, CELL_PX, -1).max(axis=1)
    levels = levels.reshape(rows, columns, CELL_PX).max(axis=2)
    return np.asarray(levels > SURELY_NONE)


def _add(boxes: list[PeopleBox], box: PeopleBox) -> list[PeopleBox]:
    """Add a box, joined with the boxes that it overlaps; return boxes that do not overlap."""
    while touched := [other for other in boxes if _overlap(other, box)]:
        boxes = [other for other in boxes if other not in touched]
        box = _around([*touched, box])
    return [*boxes, box]


def _overlap(first: PeopleBox, second: PeopleBox) -> bool:
    return (
        first.left < second.right
        and second.left < first.right
        and first.top < second.bottom
        and second.top < first.bottom
    )


def _around(boxes: Sequence[PeopleBox]) -> PeopleBox:
    return PeopleBox(
        min(box.left for box in boxes),
        min(box.top for box in boxes),
        max(box.right for box in boxes),
        max(box.bottom for box in boxes),
    )
