"""Measure how busy training keeps the device, against prepared batches in memory.

    PYTHONPATH=tests .venv-models/bin/python -m benchmarks.training

One network trains on crops that are augmented on the fly and on prepared ones, in turn. The ratio
of their examples a second is the share of the device's own speed that augmentation leaves. A few
steps of EfficientNet-B0 then show how long an epoch of it would take here.
"""

import statistics
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from smart_filter_tests import drawn_faces
from smart_filter_training import loop
from smart_filter_training.keras_learner import AugmentedPictures, Batches
from smart_filter_training.models.expression import network as networks
from smart_filter_training.models.expression.train import LOSS_WEIGHTS, augment, to_inputs

Network = Any  # keras ships no types

ROUNDS = 5
STEPS = 12
BATCH = 128
LARGE_BATCH = 8
LARGE_STEPS = 4


def main() -> None:
    """Print the ratio of each round, its median, and the rate of EfficientNet-B0."""
    rng = np.random.default_rng(0)
    crops = np.stack(
        [drawn_faces.crop(rng, happy=place % 2 == 0) for place in range(BATCH * STEPS)]
    )
    network = _compile(networks.build_compact(dropout=0.3))
    wanted = {
        name: _random_shares(rng, len(crops), shape[-1]) for name, shape in _shapes(network).items()
    }
    augmented = AugmentedPictures(crops, wanted, augment, seed=0)
    drawn = Batches(len(crops), augmented.make_examples, BATCH, seed=0)
    ready = Batches(len(crops), partial(_pick, to_inputs(crops), wanted), BATCH, seed=0)
    ratios = []
    _train_epoch(network, drawn)
    for _ in range(ROUNDS):
        memory_seconds = _seconds(lambda: _train_epoch(network, ready))
        augmented_seconds = _seconds(lambda: _train_epoch(network, drawn))
        ratios.append(memory_seconds / augmented_seconds)
        rates = (len(crops) / augmented_seconds, len(crops) / memory_seconds)
        print(f"{rates[0]:.0f} of {rates[1]:.0f} crops a second")
    print(f"of the speed with ready batches: median {statistics.median(ratios):.2f}")
    _print_large_rate(rng)


def _print_large_rate(rng: np.random.Generator) -> None:
    network = _compile(networks.build_efficientnet_b0(dropout=0.3, weights=None))
    crops = rng.uniform(0, 255, (LARGE_BATCH * LARGE_STEPS, 48, 48, 1)).astype(np.float32)
    wanted = {
        name: _random_shares(rng, len(crops), shape[-1]) for name, shape in _shapes(network).items()
    }
    network.fit(
        crops[:LARGE_BATCH],
        {name: part[:LARGE_BATCH] for name, part in wanted.items()},
        verbose=0,
    )
    seconds = _seconds(lambda: network.fit(crops, wanted, batch_size=LARGE_BATCH, verbose=0))
    print(f"EfficientNet-B0 at 224: {len(crops) / seconds:.1f} crops a second")


def _train_epoch(network: Network, batches: Batches) -> None:
    for _, batch in loop.prefetch(batches.make_batch, 0, batches.epoch):
        network.train_on_batch(*batch)


def _pick(
    inputs: NDArray[np.float32],
    wanted: Mapping[str, NDArray[np.float32]],
    epoch: int,
    index: int,
    chosen: NDArray[np.int64],
) -> tuple[Any, Any]:
    """Return the examples of a batch as they are."""
    del epoch, index
    return inputs[chosen], {name: values[chosen] for name, values in wanted.items()}


def _compile(network: Network) -> Network:
    network.compile(
        keras.optimizers.AdamW(1e-3), loss=dict.fromkeys(LOSS_WEIGHTS, "categorical_crossentropy")
    )
    return network


def _shapes(network: Network) -> dict[str, tuple[int, ...]]:
    return {name: output.shape for name, output in network.output.items()}


def _random_shares(rng: np.random.Generator, count: int, classes: int) -> NDArray[np.float32]:
    shares = rng.random((count, classes), np.float32)
    normalized: NDArray[np.float32] = shares / shares.sum(axis=1, keepdims=True)
    return normalized


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
