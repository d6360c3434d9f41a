"""Pairs in memory while there is room, read anew where there is none."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from smart_filter_training.models.unet import augmentation, pairs
from smart_filter_training.models.unet.augmentation import Seen
from smart_filter_training.models.unet.pairs import Example, Pair
from smart_filter_workers.results import Srgb8

Floats = NDArray[np.float32]

# A set of 34,000 photos is read as it is trained on; a few thousand stay.
MOST_BYTES: Final = 4_000_000_000


class Shelf:
    """Reads pairs by number; what was read once stays while there is room.

    Nothing is dropped for something else: what is read is as good as any other.
    """

    def __init__(self, found: Sequence[Pair], *, most_bytes: int = MOST_BYTES) -> None:
        self.pairs = tuple(found)
        self._room = most_bytes
        self._examples: dict[int, Example] = {}
        self._backgrounds: dict[int, Srgb8 | None] = {}

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.pairs)

    def example(self, number: int) -> Example:
        """Return a pair.  Raises FolderUnreadable naming the file that cannot be used."""
        if number in self._examples:
            return self._examples[number]
        read = pairs.read(self.pairs[number])
        size = read.srgb.nbytes + read.matte.nbytes + read.counted.nbytes
        if size <= self._room:
            self._room -= size
            self._examples[number] = read
        return read

    def background(self, number: int) -> Srgb8 | None:
        """Return what is behind the people of a pair, half as large, None for too little."""
        if number in self._backgrounds:
            return self._backgrounds[number]
        made = augmentation.background(self.example(number))
        size = 0 if made is None else made.nbytes
        if size <= self._room:
            self._room -= size
            self._backgrounds[number] = made
        return made


def together(seen: Sequence[Seen]) -> tuple[Floats, Floats]:
    """Return a batch as the network and its loss take it."""
    pictures = np.stack([one.srgb for one in seen]).astype(np.float32) / np.float32(255)
    wanted = np.stack([np.stack([one.matte, one.weight], axis=-1) for one in seen])
    return pictures, wanted


def as_they_are(shelf: Shelf, size_px: int) -> tuple[Floats, Floats]:
    """Return all pairs of a shelf as one batch, not augmented."""
    return together([augmentation.as_it_is(shelf.example(n), size_px) for n in range(len(shelf))])
