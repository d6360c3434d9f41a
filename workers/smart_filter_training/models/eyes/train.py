"""Trains the eye network on crops of open and of closed eyes."""

from pathlib import Path
from typing import Any, Final

import keras
import numpy as np

from smart_filter_training import fitting
from smart_filter_training.batches import Batches, steps
from smart_filter_training.models.eyes import network as networks
from smart_filter_training.models.eyes.augmentation import as_they_are, augment
from smart_filter_training.models.eyes.configuration import Configuration
from smart_filter_training.models.eyes.data import Crops, Data
from smart_filter_training.record import Record

Network = Any  # keras ships no types

OWN: Final = Path(__file__).parent / "eyes.weights.h5"
# Some crops are in the wrong class, and of others nobody could tell: no answer is wanted surer.
SMOOTHING: Final = 0.04


def train(data: Data, configuration: Configuration, record: Record) -> Network:
    """Train a network, or go on where the record's run was killed.

    Raises SetupFailed when the file to begin with is none.
    """
    fitting.seed_everything(configuration.seed)
    with fitting.precision(half=configuration.half_precision):
        network = networks.build(dropout=configuration.dropout)
    if configuration.start:
        start = OWN if configuration.start == "own" else Path(configuration.start)
        fitting.load(network, start)
    batches = Batches(
        (data.train.crops,),
        (targets(data.train),),
        augment=augment,
        batch_size=configuration.batch_size,
        seed=configuration.seed,
    )
    network.compile(
        fitting.optimiser(
            learning_rate=configuration.learning_rate,
            steps=steps(len(data.train.names), configuration.batch_size, configuration.epochs),
            weight_decay=configuration.weight_decay,
        ),
        loss=keras.losses.BinaryCrossentropy(label_smoothing=SMOOTHING),
        metrics=["accuracy"],
    )
    validation = as_they_are(data.validation.crops), targets(data.validation)
    fitting.fit(network, batches, validation=validation, epochs=configuration.epochs, record=record)
    return network


def targets(crops: Crops) -> Any:  # noqa: ANN401 - what Keras takes
    """Return what the network should answer: (N, 1) float32, 1 open."""
    return crops.is_open.astype(np.float32)[:, np.newaxis]
