"""Batches of examples, augmented anew in every epoch and the same in every run of a seed."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

Arrays = Sequence[NDArray[Any]]  # of any type of number
Augment = Callable[..., Arrays]


class Batches(keras.utils.PyDataset):  # type: ignore[misc]  # keras ships no types
    """Examples in batches, shuffled; any thread may draw one.

    inputs, targets: arrays of N examples each.  augment: is given a random generator and a
    batch of each input, and returns the batches that the network sees.  Which examples make a
    batch and how they look depends on the seed, the epoch and the batch's number alone, so
    that a run that was killed goes on as if it had not been.
    """

    def __init__(
        self,
        inputs: Arrays,
        targets: Arrays,
        *,
        augment: Augment,
        batch_size: int,
        seed: int,
    ) -> None:
        # One thread draws the next batches while the network is at work on this one.
        super().__init__(workers=1, use_multiprocessing=False, max_queue_size=4)
        self._inputs, self._targets = tuple(inputs), tuple(targets)
        self._augment = augment
        self._batch_size = batch_size
        self._seed = seed
        self.start_at(0)

    def start_at(self, epoch: int) -> None:
        """Begin with the order of an epoch, numbered from 0."""
        self._epoch = epoch
        self._order = self._shuffled()

    def __len__(self) -> int:
        """Return the number of whole batches in an epoch; the rest comes in another one."""
        return max(1, len(self._inputs[0]) // self._batch_size)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        """Return the inputs and the targets of one batch."""
        chosen = self._order[index * self._batch_size : (index + 1) * self._batch_size]
        rng = np.random.default_rng((self._seed, self._epoch, index))
        seen = self._augment(rng, *(values[chosen] for values in self._inputs))
        wanted = tuple(values[chosen] for values in self._targets)
        return _alone(tuple(seen)), _alone(wanted)

    def on_epoch_end(self) -> None:
        """Shuffle for the next epoch."""
        self.start_at(self._epoch + 1)

    def _shuffled(self) -> NDArray[np.int64]:
        count = len(self._inputs[0])
        order = np.random.default_rng((self._seed, self._epoch)).permutation(count)
        # Fewer examples than a batch wants are seen several times.
        return np.resize(order, max(count, self._batch_size)) if count else order


def _alone(values: tuple[NDArray[Any], ...]) -> Any:  # noqa: ANN401 - what Keras takes
    return values[0] if len(values) == 1 else values


def steps(examples: int, batch_size: int, epochs: int) -> int:
    """Return how many batches a run of so many epochs sees."""
    return max(1, math.floor(examples / batch_size)) * epochs
