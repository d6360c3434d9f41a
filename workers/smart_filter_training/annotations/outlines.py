"""Outlines as pixels, by pycocotools; and COCO's run lengths, read before it sees them."""

import warnings
from collections.abc import Iterable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from smart_filter_training.annotations.marks import Mark, Runs
from smart_filter_training.annotations.numbers import Misdrawn

Bools = NDArray[np.bool_]

# Of a run's letters: five bits of its length each, and whether another one follows.
_FIRST_LETTER: Final = 48
_BITS: Final = 5
_LENGTH: Final = (1 << _BITS) - 1
_SIGN: Final = 1 << (_BITS - 1)
_FOLLOWS: Final = 1 << _BITS
# From this run on, what is written is the difference from the run two before.
_FIRST_DIFFERENCE: Final = 3
# More would not fit the pixels of any picture that is decoded.
_MOST_LETTERS_OF_A_RUN: Final = 8


def pixels(mark: Mark, width: int, height: int) -> Bools:
    """Return (H, W) bool: where a mark is; its box's pixels when it has no outline."""
    if mark.outline is None:
        left, top, right, bottom = (round(side) for side in mark.box)
        inside = np.zeros((height, width), np.bool_)
        inside[top : max(bottom, top + 1), left : max(right, left + 1)] = True
        return inside
    # Imported here, so that boxes are read where pycocotools is not installed.
    from pycocotools import mask  # noqa: PLC0415

    if isinstance(mark.outline, Runs):
        told: dict[str, Any] = {"size": [height, width], "counts": list(mark.outline.counts)}
        encoded = mask.frPyObjects(told, height, width)
    else:
        parts = [list(polygon) for polygon in mark.outline]
        encoded = mask.merge(mask.frPyObjects(parts, height, width))
    with warnings.catch_warnings():
        # pycocotools, about the way NumPy 2 copies what is not its own.
        warnings.simplefilter("ignore", DeprecationWarning)
        decoded = mask.decode(encoded)
    return np.asarray(decoded, dtype=np.bool_)


def runs(counts: object, width: int, height: int) -> Runs:
    """Return run lengths that a file tells as a list of numbers, or as COCO's letters.

    Raises Misdrawn unless they are the picture's: pycocotools fills a picture whose runs end
    early with whatever lies in memory.
    """
    if isinstance(counts, str):
        lengths = _read(counts)
    elif isinstance(counts, list):
        lengths = counts
    else:
        raise Misdrawn("its run lengths are neither a list nor text")
    if not all(type(one) is int and one >= 0 for one in lengths):
        raise Misdrawn("its run lengths hold what is no whole number")
    if sum(lengths) != width * height:
        raise Misdrawn(f"its run lengths are not those of {width}×{height} pixels")
    return Runs(tuple(lengths))


def _read(letters: str) -> list[int]:
    """Return the run lengths that COCO's letters stand for.

    Source: the format of `maskApi.c` of COCO's API: groups of five bits, the lowest first,
    from the letter 0 on, the highest of the last one a sign.
    """
    lengths: list[int] = []
    for values in _groups(letters):
        length = sum((value & _LENGTH) << _BITS * place for place, value in enumerate(values))
        if values[-1] & _SIGN:
            length -= 1 << _BITS * len(values)
        if len(lengths) >= _FIRST_DIFFERENCE:
            length += lengths[-2]
        lengths.append(length)
    return lengths


def _groups(letters: str) -> Iterable[list[int]]:
    group: list[int] = []
    for letter in letters:
        value = ord(letter) - _FIRST_LETTER
        group.append(value)
        if not 0 <= value < 2 * _FOLLOWS or len(group) > _MOST_LETTERS_OF_A_RUN:
            raise Misdrawn("its run lengths hold a letter that COCO's have not")
        if not value & _FOLLOWS:
            yield group
            group = []
    if group:
        raise Misdrawn("its run lengths end in the middle of one")
