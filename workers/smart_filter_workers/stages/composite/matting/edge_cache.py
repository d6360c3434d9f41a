"""Keep the learned edges of recent photos: jobs derived from a photo learn the same edge again."""

import hashlib
import threading
from collections.abc import Sequence
from typing import Final

import numpy as np
from cachetools import LRUCache

from smart_filter_shared.results import Face
from smart_filter_workers.results import Matte8, Srgb8
from smart_filter_workers.stages.composite.matting import edge_learning
from smart_filter_workers.stages.composite.matting.edge_learning import (
    Effort,
    LearnedEdge,
    SmallInputs,
)

# One for each group of people: it takes 3 MB at most, with `best` 12.
_MAX_EDGES: Final = 8


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
        inputs = edge_learning.shrink_inputs(matte, proxy_srgb, effort=effort)
        # Hashing takes 0.3 ms, learning 10 to 20.
        key = _digest(inputs, effort, faces, scale)
        with self._lock:
            edge = self._edges.get(key)
        if edge is None:
            edge = edge_learning.learn_edge(inputs, effort=effort, faces=faces, scale=scale)
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
