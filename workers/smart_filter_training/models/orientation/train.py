"""Trains the orientation network on upright scenes alone: it turns them itself."""

from pathlib import Path
from typing import Any, Final

import keras
import numpy as np
from numpy.typing import NDArray

from smart_filter_training import fitting
from smart_filter_training.batches import Batches, steps
from smart_filter_training.models.orientation import network as networks
from smart_filter_training.models.orientation.augmentation import as_they_are, augment
from smart_filter_training.models.orientation.configuration import Configuration
from smart_filter_training.models.orientation.data import Data, Scenes
from smart_filter_training.record import Record
from smart_filter_workers.networks.scenes import TURNS

Network = Any  # keras ships no types

# Of many crops nobody could tell.
SMOOTHING: Final = 0.1


def train(data: Data, configuration: Configuration, record: Record) -> Network:
    """Train a network, or go on where the record's run was killed.

    Raises SetupFailed when the file to begin with is none.
    """
    fitting.seed_everything(configuration.seed)
    with fitting.precision(half=configuration.half_precision):
        network = networks.build(dropout=configuration.dropout)
    if configuration.start:
        fitting.load(network, Path(configuration.start))
    batches = Batches(
        (data.train.scenes,),
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
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=SMOOTHING),
        metrics=["accuracy"],
    )
    validation = as_they_are(data.validation.scenes), targets(data.validation)
    fitting.fit(network, batches, validation=validation, epochs=configuration.epochs, record=record)
    return network


def targets(scenes: Scenes) -> NDArray[np.float32]:
    """Return what the network should answer, (N, TURNS): that no turn is needed."""
    return np.eye(TURNS, dtype=np.float32)[np.zeros(len(scenes.names), dtype=np.int64)]
