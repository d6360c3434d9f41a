"""Layers: the photo's people, with their own colours along the edge, over a background.

Colours are mixed gamma-coded: in linear light, which physics would ask for, edges of people
from a bright backdrop keep a bright seam, seen on every photo that was compared.
"""

from pathlib import Path
from typing import Final

import cv2
import numpy as np

from smart_filter_shared.cards import ModelCard, TaskName
from smart_filter_workers.results import Matte8, Srgb8
from smart_filter_workers.stages.composite import colours, edges
from smart_filter_workers.stages.composite.models.base import Colour, Compositor, CutOut, Srgba8

CARD: Final = ModelCard(
    name="layers",
    version="1",
    task=TaskName.COMPOSITE,
    family="layers",
    title="Guided matte and blur-fused edge colours",
    source="He & Sun 2015, fast guided filter; Forte 2021, blur fusion",
    licence="Apache-2.0",
    data_terms="",
    default=True,
)
WHOLE: Final = 255


def load(weights: Path) -> Compositor:  # noqa: ARG001 - every model is loaded alike
    """Return the compositor; it has no weights."""
    return _Layers()


class _Layers:
    """Stateless, so any thread may use it."""

    def cut(self, photo_srgb: Srgb8, *, proxy_srgb: Srgb8, matte: Matte8) -> CutOut:
        """Bring the matte to the photo's size and find the colours along its edge."""
        people, backdrop = colours.estimate(proxy_srgb, matte)
        large = edges.enlarge(matte, proxy_srgb=proxy_srgb, photo_srgb=photo_srgb)
        return CutOut(photo_srgb, large, people, backdrop)

    def over(self, cut: CutOut, background_srgb: Srgb8) -> Srgb8:
        """Lay the people on a background, in place."""
        whole = cv2.inRange(cut.matte, WHOLE, WHOLE)
        cv2.copyTo(cut.photo_srgb, whole, background_srgb)
        for block in edges.band(cut.matte):
            alpha, people = _edge(cut, block)
            mixed = people * alpha + background_srgb[block] * (1 - alpha)
            background_srgb[block] = (mixed + 0.5).astype(np.uint8)
        return background_srgb

    def on_colour(self, cut: CutOut, colour: Colour) -> Srgba8:
        """Lay the people on one colour; straight alpha, and no colour where nothing shows."""
        height, width = cut.matte.shape
        ground = (*colour.srgb, 255 * colour.alpha) if colour.alpha else (0, 0, 0, 0)
        # Filled as whole words: byte by byte it takes six times as long.
        word = np.round(ground).astype(np.uint8).view(np.uint32)
        out = np.full((height, width), word, np.uint32).view(np.uint8).reshape(height, width, 4)
        whole = cv2.inRange(cut.matte, WHOLE, WHOLE)
        cv2.copyTo(cv2.cvtColor(cut.photo_srgb, cv2.COLOR_RGB2RGBA), whole, out)
        for block in edges.band(cut.matte):
            alpha, people = _edge(cut, block)
            ground_share = (1 - alpha) * np.float32(colour.alpha)
            covered = alpha + ground_share
            mixed = people * alpha + np.array(colour.srgb, np.float32) * ground_share
            part = out[block]
            part[..., :3] = mixed / np.maximum(covered, 1e-6) + 0.5
            part[..., 3:] = covered * 255 + 0.5
        return out


def _edge(cut: CutOut, block: edges.Block) -> tuple[colours.Floats, colours.Floats]:
    """Return alpha, (h, w, 1), and the people's colours, (h, w, 3), of one block."""
    size = cut.matte.shape
    alpha = np.divide(cut.matte[block], 255, dtype=np.float32)[..., np.newaxis]
    people = colours.unmixed(
        cut.photo_srgb[block].astype(np.float32),
        alpha,
        edges.enlarged_part(cut.people_srgb, block, size),
        edges.enlarged_part(cut.backdrop_srgb, block, size),
    )
    return alpha, people
