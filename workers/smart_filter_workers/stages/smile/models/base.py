"""Interfaces of the two kinds of models of the smile stage."""

from collections.abc import Sequence
from typing import Protocol

from smart_filter_workers.networks.face_mesh import FaceView
from smart_filter_workers.results import Eyes, Smile


class SmileRater(Protocol):
    """Rates how much each face smiles; safe to call from several threads."""

    def __call__(self, faces: Sequence[FaceView], /) -> Sequence[Smile]:
        """Return the smile of each face, in the same order."""
        ...


class EyeReader(Protocol):
    """Reads whether the eyes of each face are open; safe to call from several threads."""

    def __call__(self, faces: Sequence[FaceView], /) -> Sequence[Eyes]:
        """Return the eyes of each face, in the same order."""
        ...
