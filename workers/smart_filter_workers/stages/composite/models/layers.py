"""Layers: the photo's people, with their own colours along the edge, over a background.

Colours are mixed gamma-coded: in linear light, which physics would ask for, edges of people
from a bright backdrop keep a bright seam, seen on every photo that was compared.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from smart_filter_shared.cards import ModelCard, TaskName
from smart_filter_shared.recipe import Edge
from smart_filter_workers.results import Face, Matte8, Srgb8
from smart_filter_workers.stages.composite.matting import blocks, colours, learning, upsampling
from smart_filter_workers.stages.composite.matting.blocks import Block, Floats
from smart_filter_workers.stages.composite.models.base import Compositor, CutOut, Srgba8

CARD: Final = ModelCard(
    name="layers",
    version="2",
    task=TaskName.COMPOSITE,
    family="layers",
    title="Matte learnt from colours, and blur-fused edge colours",
    source="He & Sun 2015, fast guided filter; Forte 2021, blur fusion",
    licence="Apache-2.0",
    data_terms="",
    default=True,
)
WHOLE: Final = 255
STRIP_ROWS: Final = 128
_RGBA: Final = 4


def load(weights: Path) -> Compositor:  # noqa: ARG001 - every model is loaded alike
    """Return the compositor; it has no weights."""
    return _Layers()


class _Layers:
    """Stateless, so any thread may use it."""

    def cut(
        self,
        photo_srgb: Srgb8,
        *,
        proxy_srgb: Srgb8,
        matte: Matte8,
        edge: Edge,
        faces: Sequence[Face] = (),
    ) -> CutOut:
        """Bring the matte to the photo's size and find the colours along its edge."""
        effort = learning.EFFORTS[edge]
        learnt = learning.learnt(
            matte,
            proxy_srgb=proxy_srgb,
            effort=effort,
            faces=faces,
            scale=photo_srgb.shape[1] / matte.shape[1],
        )
        people, backdrop = colours.estimate(learnt.srgb, learnt.coverage)
        return CutOut(photo_srgb, upsampling.enlarged(learnt, photo_srgb), people, backdrop)

    def over(self, cut: CutOut, ground: Srgb8 | Srgba8) -> Srgb8 | Srgba8:
        """Lay the people on a ground, in place."""
        if ground.shape[2] == _RGBA:
            return _over_some(cut, ground)
        _lay_whole(cut, ground)
        for block in blocks.band(cut.matte):
            alpha, people = _edge(cut, block)
            # Ground + (people - ground) · alpha, in place.
            behind = ground[block].astype(np.float32)
            people -= behind
            people *= cv2.merge([alpha] * 3)
            people += behind
            people += 0.5
            ground[block] = people.astype(np.uint8)
        return ground


def _over_some(cut: CutOut, ground: Srgba8) -> Srgba8:
    """Lay the people on a ground that something shows through.

    Source: Porter & Duff 1984, "Compositing digital images", over.
    """
    _lay_whole(cut, ground)
    for block in blocks.band(cut.matte):
        alpha, people = _edge(cut, block)
        part = ground[block]
        ground_share = (1 - alpha) * (part[..., 3:] / np.float32(WHOLE))
        covered = alpha + ground_share
        mixed = people * alpha + part[..., :3] * ground_share
        part[..., :3] = mixed / np.maximum(covered, 1e-6) + 0.5
        part[..., 3:] = covered * WHOLE + 0.5
    return ground


def _lay_whole(cut: CutOut, ground: Srgb8 | Srgba8) -> None:
    """Copy the people where nothing shows through them, strip by strip: no copy is full-size."""
    for top in range(0, len(ground), STRIP_ROWS):
        rows = slice(top, top + STRIP_ROWS)
        whole = cv2.inRange(cut.matte[rows], WHOLE, WHOLE)
        if not whole.any():
            continue
        people = cut.pixels(rows)
        if ground.shape[2] == _RGBA:
            people = np.asarray(cv2.cvtColor(people, cv2.COLOR_RGB2RGBA), np.uint8)
        cv2.copyTo(people, whole, ground[rows])


def _edge(cut: CutOut, block: Block) -> tuple[Floats, Floats]:
    """Return alpha, (h, w, 1), and the people's colours, (h, w, 3), of one block."""
    size = cut.matte.shape
    alpha = np.divide(cut.matte[block], 255, dtype=np.float32)[..., np.newaxis]
    people = colours.unmixed(
        cut.pixels(block).astype(np.float32),
        alpha,
        blocks.enlarged_part(cut.people_srgb, block, size),
        blocks.enlarged_part(cut.backdrop_srgb, block, size),
    )
    return alpha, people
