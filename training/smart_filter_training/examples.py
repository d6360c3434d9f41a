"""Labeled pictures in memory, and their split into training and validation."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from smart_filter_training import preflight
from smart_filter_workers.results import Bools, Bytes

_HASH_RANGE: Final = 1 << 32


@dataclass(frozen=True, slots=True)
class Examples:
    """Pictures of one size with a label each.

    pictures: (N, H, W) uint8 gray or (N, H, W, 3) uint8 sRGB; labels: (N, …), by the model.
    """

    names: tuple[str, ...]
    pictures: Bytes
    labels: NDArray[Any]

    def where(self, chosen: Bools) -> "Examples":
        """Return the examples that (N,) bool chooses."""
        names = tuple(name for name, is_in in zip(self.names, chosen, strict=True) if is_in)
        return Examples(names, self.pictures[chosen], self.labels[chosen])


@dataclass(frozen=True, slots=True)
class Data:
    """Examples to train on and to validate on.  digest: SHA-256 of everything that was read."""

    train: Examples
    validation: Examples
    digest: str


def split(examples: Examples, groups: Iterable[str], *, share: float) -> tuple[Examples, Examples]:
    """Return the examples to train on and to validate on; a group is on one side."""
    validates = hold_out(groups, share=share)
    return examples.where(~validates), examples.where(validates)


def hold_out(names: Iterable[str], *, share: float) -> Bools:
    """Return which names validate, (N,) bool: about `share` of them, 0..1.

    The side of a name depends on the name alone, so a new run draws the same. Examples that
    belong together, such as both eyes of one photo, get the same name.
    """
    drawn = [int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") for name in names]
    return np.array(drawn, dtype=np.float64) < share * _HASH_RANGE


def group_look_alikes(names: Sequence[str], pictures: Bytes) -> list[str]:
    """Return the group of each gray picture: the name of the first one that looks the same."""
    first: dict[int, str] = {}
    return [
        first.setdefault(preflight.hash_picture(picture), name)
        for name, picture in zip(names, pictures, strict=True)
    ]
