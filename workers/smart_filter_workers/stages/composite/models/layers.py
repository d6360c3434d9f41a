"""Layers: the photo's people, with their own colors along the edge, over a background.

Colors are mixed gamma-coded. Linear light would be physically correct, but people cut from a bright
backdrop then keep a bright seam, on every photo that was compared.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from smart_filter_shared.catalog.model_card import Commercial, ModelCard
from smart_filter_shared.pipeline import TaskName
from smart_filter_shared.recipe import Edge
from smart_filter_shared.results import Face
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Floats, Matte8, Srgb8, Srgba8
from smart_filter_workers.stages.composite.matting import (
    foreground_colors,
    people_boxes,
    upsampling,
)
from smart_filter_workers.stages.composite.matting.edge_cache import EdgeCache
from smart_filter_workers.stages.composite.matting.edge_learning import EFFORTS, Effort
from smart_filter_workers.stages.composite.matting.edge_pixels import EdgePixels, find_edge_pixels
from smart_filter_workers.stages.composite.matting.trimap import SURELY_NONE
from smart_filter_workers.stages.composite.models.base import Compositor, CutOut

CARD: Final = ModelCard(
    name="layers",
    version="4",
    task=TaskName.COMPOSITE,
    family="layers",
    title="Matte learned from colors, and blur-fused edge colors",
    source="He & Sun 2015, fast guided filter; Forte 2021, blur fusion",
    license="Apache-2.0",
    data_terms="",
    commercial=Commercial.YES,
    default=True,
)
WHOLE: Final = 255
STRIP_ROWS: Final = 128
_RGBA: Final = 4


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
        if ground.shape[2] == _RGBA:
            return _lay_over_transparent(cut, ground)
        _lay_whole(cut, ground)
        for edge in find_edge_pixels(cut.matte):
            alpha, people = _unmix(cut, edge)
            # Ground + (people - ground) · alpha, in place.
            behind = edge.take(ground).astype(np.float32)
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
    matte = np.asarray(cv2.threshold(matte, SURELY_NONE, WHOLE, cv2.THRESH_TOZERO)[1], np.uint8)
    large = np.zeros((height, width), np.uint8)
    places, maps = [], []
    boxes = people_boxes.find(matte)
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
        place.crop(large)[:] = upsampling.upsample(learned, place.crop(photo_srgb))
        places.append(place)
        maps.append(foreground_colors.estimate_colors(learned.srgb, learned.coverage))
    people, backdrop = (
        people_boxes.join_maps(colors, places, width=width, height=height)
        for colors in zip(*maps, strict=True)
    )
    return CutOut(photo_srgb, large, people, backdrop)


def _lay_over_transparent(cut: CutOut, ground: Srgba8) -> Srgba8:
    """Composite the people onto a transparent ground, in place.

    Source: Porter & Duff 1984, "Compositing digital images", over.
    """
    _lay_whole(cut, ground)
    for edge in find_edge_pixels(cut.matte):
        alpha, people = _unmix(cut, edge)
        behind = edge.take(ground)
        covered = alpha
        # Fully transparent pixels take no share in the colors.
        if behind[..., 3].any():
            ground_share = (1 - alpha) * np.divide(behind[..., 3:], WHOLE, dtype=np.float32)
            covered = alpha + ground_share
            mixed = people * alpha + behind[..., :3].astype(np.float32) * ground_share
            people = np.divide(mixed, covered, dtype=np.float32)
        rgba = np.asarray(cv2.merge([people, covered * np.float32(WHOLE)]), np.float32)
        rgba += 0.5
        edge.put(ground, rgba.astype(np.uint8))
    return ground


def _lay_whole(cut: CutOut, ground: Srgb8 | Srgba8) -> None:
    """Copy the people where the matte is 255, strip by strip, to avoid a full-size copy."""
    for top in range(0, len(ground), STRIP_ROWS):
        rows = slice(top, top + STRIP_ROWS)
        whole = cv2.inRange(cut.matte[rows], WHOLE, WHOLE)
        left, _, width, _ = cv2.boundingRect(whole)
        if not width:
            continue
        part = rows, slice(left, left + width)
        people = cut.apply_curves(cut.photo_srgb[part])
        if ground.shape[2] == _RGBA:
            people = np.asarray(cv2.cvtColor(people, cv2.COLOR_RGB2RGBA), np.uint8)
        cv2.copyTo(people, whole[:, part[1]], ground[part])


def _unmix(cut: CutOut, edge: EdgePixels) -> tuple[Floats, Floats]:
    """Return alpha, (1, n, 1), and the people's colors, (1, n, 3), of edge pixels."""
    alpha = np.divide(edge.take(cut.matte), WHOLE, dtype=np.float32)[..., np.newaxis]
    colors = cut.apply_curves(edge.take(cut.photo_srgb)).astype(np.float32)
    if cut.own_colors:
        return alpha, colors
    people = foreground_colors.unmix_foreground(
        colors,
        alpha,
        edge.enlarge(cut.people_srgb),
        edge.enlarge(cut.backdrop_srgb),
    )
    return alpha, people
