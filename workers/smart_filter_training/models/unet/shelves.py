"""Pairs in memory while there is room, read anew where there is none; and batches of them."""

from collections.abc import Sequence
from typing import Any, Final

import keras
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


class PairBatches(keras.utils.PyDataset):  # type: ignore[misc] - keras ships no types
    """Batches of pairs, augmented; the same in every run of a seed.

    A batch is (N, S, S, 3) float32 of 0..1 and (N, S, S, 2) float32: the matte, and how much
    each pixel counts.  How a pair looks depends on the seed, the epoch and its number alone.
    """

    def __init__(
        self, shelf: Shelf, *, size_px: int, batch_size: int, seed: int, cut_out_share: float
    ) -> None:
        # One thread draws the next batches while the network is at work on this one.
        super().__init__(workers=1, use_multiprocessing=False, max_queue_size=4)
        self._shelf = shelf
        self._size_px, self._batch_size = size_px, batch_size
        self._seed = seed
        self._cut_out_share = cut_out_share
        self.start_at(0)

    def start_at(self, epoch: int) -> None:
        """Begin with the order of an epoch, numbered from 0."""
        self._epoch = epoch
        order = np.random.default_rng((self._seed, epoch)).permutation(len(self._shelf))
        # Fewer pairs than a batch wants are seen several times.
        self._order = np.resize(order, max(len(order), self._batch_size))

    def __len__(self) -> int:
        """Return the number of whole batches in an epoch; the rest comes in another one."""
        return len(self._order) // self._batch_size

    def __getitem__(self, index: int) -> tuple[Floats, Floats]:
        """Return one batch."""
        chosen = self._order[index * self._batch_size : (index + 1) * self._batch_size]
        return together([self._seen(int(number)) for number in chosen])

    def on_epoch_end(self) -> None:
        """Shuffle for the next epoch."""
        self.start_at(self._epoch + 1)

    def _seen(self, number: int) -> Seen:
        rng = np.random.default_rng((self._seed, self._epoch, number))
        seen = augmentation.framed(rng, self._shelf.example(number), self._size_px)
        if rng.random() < self._cut_out_share:
            behind = self._shelf.background(int(rng.integers(len(self._shelf))))
            if behind is not None:
                seen = augmentation.set_before(rng, seen, behind)
        return Seen(augmentation.lit(rng, seen.srgb), seen.matte, seen.weight)


def together(seen: Sequence[Seen]) -> tuple[Floats, Floats]:
    """Return a batch as the network and its loss take it."""
    pictures = np.stack([one.srgb for one in seen]).astype(np.float32) / np.float32(255)
    wanted = np.stack([np.stack([one.matte, one.weight], axis=-1) for one in seen])
    return pictures, wanted


def as_they_are(shelf: Shelf, size_px: int) -> tuple[Any, Any]:
    """Return all pairs of a shelf as one batch, not augmented."""
    return together([augmentation.as_it_is(shelf.example(n), size_px) for n in range(len(shelf))])
