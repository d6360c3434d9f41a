"""Trains the expression network on the votes of ten raters."""

from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from smart_filter_shared.errors import SetupFailed
from smart_filter_training import fitting
from smart_filter_training.batches import Batches, steps
from smart_filter_training.models.expression import network as networks
from smart_filter_training.models.expression import votes
from smart_filter_training.models.expression.augmentation import as_they_are, augment
from smart_filter_training.models.expression.configuration import Configuration
from smart_filter_training.models.expression.data import Crops, Data
from smart_filter_training.record import Record

Network = Any  # keras ships no types
Floats = NDArray[np.float32]

OWN: Final = Path(__file__).parent / "expression.weights.h5"
# The answers of the network, in the order in which batches hold what is wanted of them.
ANSWERS: Final = (networks.EMOTION, networks.SMILE, networks.SMILE_OR_SURPRISE)
# Both counts of smiles say much the same.
LOSS_WEIGHTS: Final = {
    networks.EMOTION: 1.0,
    networks.SMILE: 0.5,
    networks.SMILE_OR_SURPRISE: 0.5,
}


class _Named(Batches):
    """Batches whose targets have the names of the network's answers."""

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        """Return the crops and the targets of one batch."""
        crops, wanted = super().__getitem__(index)
        return crops, dict(zip(ANSWERS, wanted, strict=True))


def train(data: Data, configuration: Configuration, record: Record) -> Network:
    """Train a network, or go on where the record's run was killed.

    Raises SetupFailed when the configuration names what there is not.
    """
    fitting.seed_everything(configuration.seed)
    with fitting.precision(half=configuration.half_precision):
        network = _network(configuration, record)
    wanted = {**targets(data.train), **_kept(network, data.train, configuration)}
    batches = _Named(
        (data.train.crops,),
        tuple(wanted[name] for name in ANSWERS),
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
        loss=dict.fromkeys(ANSWERS, "categorical_crossentropy"),
        loss_weights=LOSS_WEIGHTS,
        metrics={networks.EMOTION: "accuracy"},
    )
    of_validation = {**targets(data.validation), **_kept(network, data.validation, configuration)}
    validation = as_they_are(data.validation.crops), of_validation
    fitting.fit(network, batches, validation=validation, epochs=configuration.epochs, record=record)
    return network


def targets(crops: Crops) -> dict[str, Floats]:
    """Return what the network should answer: the votes themselves, not the majority's.

    The shares of raters by emotion (N, 8), and which count of 0 to 10 saw a smile, (N, 11),
    by either rule.
    """
    counts = np.eye(votes.RATERS + 1, dtype=np.float32)
    return {
        networks.EMOTION: votes.emotions(crops.votes),
        networks.SMILE: counts[votes.smiling(crops.votes, "happiness")],
        networks.SMILE_OR_SURPRISE: counts[votes.smiling(crops.votes, "happiness+surprise")],
    }


def _kept(network: Network, crops: Crops, configuration: Configuration) -> dict[str, Floats]:
    """Return the answers that a network is to keep, as it gives them before it is trained.

    Source: Li & Hoiem 2016, "Learning without forgetting".
    """
    if configuration.known == "votes":
        return {}
    if configuration.known != "smile" or not configuration.start:
        raise SetupFailed("known is votes, or smile for a network that has a start")
    said = network.predict(as_they_are(crops.crops), verbose=0)
    return {name: np.asarray(said[name]) for name in ANSWERS if name != networks.SMILE}


def _network(configuration: Configuration, record: Record) -> Network:
    """Return the network to begin with."""
    if configuration.architecture == "compact":
        network = networks.compact(dropout=configuration.dropout)
    elif configuration.architecture == "efficientnet-b0":
        network = _efficientnet(configuration, record)
    else:
        raise SetupFailed(
            f"architecture {configuration.architecture!r} is none of compact, efficientnet-b0"
        )
    if configuration.start:
        start = OWN if configuration.start == "own" else Path(configuration.start)
        fitting.load(network, start)
    return network


def _efficientnet(configuration: Configuration, record: Record) -> Network:
    try:
        network = networks.efficientnet_b0(dropout=configuration.dropout, weights="imagenet")
    except Exception as error:  # noqa: BLE001 - keras raises a bare Exception when a download fails
        record.note(notice=f"ImageNet's weights are out of reach, begun anew: {error}")
        return networks.efficientnet_b0(dropout=configuration.dropout, weights=None)
    record.note(notice="begun with ImageNet's weights")
    return network
