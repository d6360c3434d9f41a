"""How busy training keeps the device: against the same batches, made beforehand, in memory.

    PYTHONPATH=tests .venv-models/bin/python -m benchmarks.training

One network sees crops that are augmented as they come, and ready ones, in turn; the ratio of
their examples a second is what drawing and augmenting leaves of the device's own speed. Then a
few steps of EfficientNet-B0, to tell how long an epoch of it would take here.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from smart_filter_tests import drawn_faces
from smart_filter_training.batches import Batches
from smart_filter_training.models.expression import network as networks
from smart_filter_training.models.expression.augmentation import as_they_are, augment
from smart_filter_training.models.expression.train import ANSWERS

Network = Any  # keras ships no types

ROUNDS = 5
STEPS = 12
BATCH = 128
LARGE_BATCH = 8
LARGE_STEPS = 4


class _Drawn(Batches):
    """Batches whose targets have the names of the network's answers."""

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        crops, wanted = super().__getitem__(index)
        return crops, dict(zip(ANSWERS, wanted, strict=True))


def main() -> None:
    """Print both ratios."""
    rng = np.random.default_rng(0)
    crops = np.stack(
        [drawn_faces.crop(rng, happy=place % 2 == 0) for place in range(BATCH * STEPS)]
    )
    network = _compiled(networks.compact(dropout=0.3))
    wanted = {name: _shares(rng, len(crops), shape[-1]) for name, shape in _shapes(network).items()}
    drawn = _Drawn(
        (crops,), tuple(wanted[name] for name in ANSWERS), augment=augment, batch_size=BATCH, seed=0
    )
    ready = as_they_are(crops), wanted
    network.fit(drawn, verbose=0)
    network.fit(*ready, batch_size=BATCH, verbose=0)
    ratios = []
    for _ in range(ROUNDS):
        in_memory = _seconds(lambda: network.fit(*ready, batch_size=BATCH, verbose=0))
        augmented = _seconds(lambda: network.fit(drawn, verbose=0))
        ratios.append(in_memory / augmented)
        print(f"{len(crops) / augmented:.0f} of {len(crops) / in_memory:.0f} crops a second")
    print(f"of the speed with ready batches: median {statistics.median(ratios):.2f}")
    _large(rng)


def _large(rng: np.random.Generator) -> None:
    network = _compiled(networks.efficientnet_b0(dropout=0.3, weights=None))
    crops = rng.uniform(0, 255, (LARGE_BATCH * LARGE_STEPS, 48, 48, 1)).astype(np.float32)
    wanted = {name: _shares(rng, len(crops), shape[-1]) for name, shape in _shapes(network).items()}
    network.fit(
        crops[:LARGE_BATCH], {name: one[:LARGE_BATCH] for name, one in wanted.items()}, verbose=0
    )
    seconds = _seconds(lambda: network.fit(crops, wanted, batch_size=LARGE_BATCH, verbose=0))
    print(f"EfficientNet-B0 at 224: {len(crops) / seconds:.1f} crops a second")


def _compiled(network: Network) -> Network:
    network.compile(
        keras.optimizers.AdamW(1e-3), loss=dict.fromkeys(ANSWERS, "categorical_crossentropy")
    )
    return network


def _shapes(network: Network) -> dict[str, tuple[int, ...]]:
    return {name: output.shape for name, output in network.output.items()}


def _shares(rng: np.random.Generator, count: int, classes: int) -> NDArray[np.float32]:
    shares = rng.random((count, classes), np.float32)
    return shares / shares.sum(axis=1, keepdims=True)


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
