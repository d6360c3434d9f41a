"""Draw outlines as pixels with pycocotools, and check COCO's run lengths before it reads them."""

import warnings
from collections.abc import Iterable
from typing import Any, Final

import numpy as np

from smart_filter_training.annotations.marks import InvalidMark, Mark, Runs
from smart_filter_workers.results import Bools

# Each letter of a run has five bits of its length, and a bit that says whether another follows.
_FIRST_LETTER: Final = 48
_BITS: Final = 5
_LENGTH: Final = (1 << _BITS) - 1
_SIGN: Final = 1 << (_BITS - 1)
_FOLLOWS: Final = 1 << _BITS
# From this run on, the file has the difference from the run two before.
_FIRST_DIFFERENCE: Final = 3
# A longer run exceeds the pixels of every picture that is decoded.
_MOST_LETTERS_OF_A_RUN: Final = 8


def draw(mark: Mark, width: int, height: int) -> Bools:
    """Return the pixels of a mark, (H, W) bool; the pixels of its box when it has no outline."""
    if mark.outline is None:
        left, top, right, bottom = (round(side) for side in mark.box)
        inside = np.zeros((height, width), np.bool_)
        inside[top : max(bottom, top + 1), left : max(right, left + 1)] = True
        return inside
    # Boxes need no pycocotools.
    from pycocotools import mask  # noqa: PLC0415

    if isinstance(mark.outline, Runs):
        runs: dict[str, Any] = {"size": [height, width], "counts": list(mark.outline.counts)}
        encoded = mask.frPyObjects(runs, height, width)
    else:
        parts = [list(polygon) for polygon in mark.outline]
        encoded = mask.merge(mask.frPyObjects(parts, height, width))
    with warnings.catch_warnings():
        # pycocotools uses NumPy's old way of copying.
        warnings.simplefilter("ignore", DeprecationWarning)
        decoded = mask.decode(encoded)
    return np.asarray(decoded, dtype=np.bool_)


def parse_runs(counts: object, width: int, height: int) -> Runs:
    """Return run lengths from a list of numbers, or from COCO's letters.

    Raises InvalidMark unless they cover the picture: pycocotools fills the rest of a picture with
    arbitrary memory.
    """
    if isinstance(counts, str):
        lengths = _decode_runs(counts)
    elif isinstance(counts, list):
        lengths = counts
    else:
        raise InvalidMark("its run lengths are neither a list nor text")
    if not all(type(run) is int and run >= 0 for run in lengths):
        raise InvalidMark("its run lengths hold a value that is not a whole number")
    if sum(lengths) != width * height:
        raise InvalidMark(f"its run lengths do not cover {width}×{height} pixels")
    return Runs(tuple(lengths))


def _decode_runs(letters: str) -> list[int]:
    """Return the run lengths of COCO's letters.

    Source: the format of `maskApi.c` of COCO's API: groups of five bits, the lowest first,
    from the letter 0 on, the highest of the last one a sign.
    """
    lengths: list[int] = []
    for values in _split_runs(letters):
        length = sum((value & _LENGTH) << _BITS * place for place, value in enumerate(values))
        if values[-1] & _SIGN:
            length -= 1 << _BITS * len(values)
        if len(lengths) >= _FIRST_DIFFERENCE:
            length += lengths[-2]
        lengths.append(length)
    return lengths


def _split_runs(letters: str) -> Iterable[list[int]]:
    group: list[int] = []
    for letter in letters:
        value = ord(letter) - _FIRST_LETTER
        group.append(value)
        if not 0 <= value < 2 * _FOLLOWS or len(group) > _MOST_LETTERS_OF_A_RUN:
            raise InvalidMark("its run lengths hold a letter that is not COCO's")
        if not value & _FOLLOWS:
            yield group
            group = []
    if group:
        raise InvalidMark("its run lengths end in the middle of one")
