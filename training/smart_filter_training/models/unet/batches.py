"""Keep pairs in memory while there is room, and make augmented batches of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from smart_filter_training.models.unet import augmentation, pairs
from smart_filter_training.models.unet.augmentation import Sample
from smart_filter_training.models.unet.pairs import Example, Pair
from smart_filter_workers.results import Floats, Srgb8

# Some thousands of photos fit; of a set of 34,000, the rest is read again in each epoch.
MAX_BYTES: Final = 4_000_000_000


class PairCache:
    """Reads pairs by number and caches them while there is room.

    The cache evicts nothing: all pairs are read equally often.
    """

    def __init__(self, pairs: Sequence[Pair], *, max_bytes: int = MAX_BYTES) -> None:
        self.pairs = tuple(pairs)
        self._free_bytes = max_bytes
        self._examples: dict[int, Example] = {}
        self._backgrounds: dict[int, Srgb8 | None] = {}

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.pairs)

    def example(self, number: int) -> Example:
        """Return a pair.  Raises FolderUnreadable naming the file that cannot be used."""
        if number in self._examples:
            return self._examples[number]
        example = pairs.read_pair(self.pairs[number])
        size = example.srgb.nbytes + example.matte.nbytes + example.counted.nbytes
        if size <= self._free_bytes:
            self._free_bytes -= size
            self._examples[number] = example
        return example

    def background(self, number: int) -> Srgb8 | None:
        """Return the background of a pair without its people, at half the size.

        None when too little of it is visible.
        """
        if number in self._backgrounds:
            return self._backgrounds[number]
        background = augmentation.remove_people(self.example(number))
        size = 0 if background is None else background.nbytes
        if size <= self._free_bytes:
            self._free_bytes -= size
            self._backgrounds[number] = background
        return background


@dataclass(frozen=True, slots=True)
class AugmentedPairs:
    """Batches of augmented pairs.

    How a pair looks depends on the seed, the epoch and its number alone.
    """

    pairs: PairCache
    size_px: int
    cut_out_share: float
    seed: int

    def make_examples(
        self, epoch: int, index: int, chosen: NDArray[np.int64]
    ) -> tuple[Floats, Floats]:
        """Return the inputs and targets of a batch, as `stack` does."""
        del index
        return stack([self._augment(epoch, int(number)) for number in chosen])

    def _augment(self, epoch: int, number: int) -> Sample:
        rng = np.random.default_rng((self.seed, epoch, number))
        sample = augmentation.reframe(rng, self.pairs.example(number), self.size_px)
        if rng.random() < self.cut_out_share:
            background = self.pairs.background(int(rng.integers(len(self.pairs))))
            if background is not None:
                sample = augmentation.replace_background(rng, sample, background)
        return Sample(augmentation.relight(rng, sample.srgb), sample.matte, sample.weight)


def stack(samples: Sequence[Sample]) -> tuple[Floats, Floats]:
    """Return the inputs and targets of samples.

    (N, S, S, 3) float32 of 0..1, and (N, S, S, 2) float32 of 0..1: the matte, and the weight of
    each pixel.
    """
    inputs = np.stack([sample.srgb for sample in samples]).astype(np.float32) / np.float32(255)
    targets = np.stack([np.stack([sample.matte, sample.weight], axis=-1) for sample in samples])
    return inputs, targets


def stack_all(pairs: PairCache, size_px: int) -> tuple[Floats, Floats]:
    """Return all pairs as one batch, without augmentation."""
    return stack([augmentation.to_sample(pairs.example(n), size_px) for n in range(len(pairs))])


def to_inputs(pairs: PairCache, numbers: Iterable[int], size_px: int) -> Floats:
    """Return photos as a network takes them: (N, S, S, 3) float32, 0..1."""
    photos = [augmentation.stretch(pairs.example(number).srgb, size_px) for number in numbers]
    return np.stack(photos).astype(np.float32) / np.float32(255)
