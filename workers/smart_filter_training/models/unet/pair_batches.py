"""Batches of pairs, augmented anew in every epoch and the same in every run of a seed."""

import keras
import numpy as np

from smart_filter_training.models.unet import augmentation
from smart_filter_training.models.unet.augmentation import Seen
from smart_filter_training.models.unet.shelves import Floats, Shelf, together


class PairBatches(keras.utils.PyDataset):  # type: ignore[misc]  # keras ships no types
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
