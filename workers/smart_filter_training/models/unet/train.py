"""Trains a network that says which pixels are people."""

from pathlib import Path
from typing import Any, Final

from smart_filter_shared.errors import SetupFailed
from smart_filter_shared.places import data_folder
from smart_filter_training import fitting
from smart_filter_training.models.unet import evaluate, sheets, shelves
from smart_filter_training.models.unet import network as networks
from smart_filter_training.models.unet.carried import carried
from smart_filter_training.models.unet.configuration import Configuration
from smart_filter_training.models.unet.data import Data
from smart_filter_training.models.unet.losses import MatteLoss, Overlap
from smart_filter_training.models.unet.pair_batches import PairBatches
from smart_filter_training.record import Record

Network = Any  # keras ships no types

CARRIED: Final = ("grown", "carried")
OWN: Final = Path(__file__).parent / "portrait.weights.h5"
# In a run's folder: what the network sees beside the truth.
SHEET: Final = "sheet.png"


def train(data: Data, configuration: Configuration, record: Record) -> Network:
    """Train a network, or go on where the record's run was killed.

    Raises SetupFailed when the configuration names a network that there is not, or the weights
    to begin with are missing.
    """
    fitting.seed_everything(configuration.seed)
    network = begun(configuration)
    if configuration.start:
        start = OWN if configuration.start == "own" else Path(configuration.start)
        fitting.load(network, start)
    batches = PairBatches(
        data.train,
        size_px=configuration.size_px,
        batch_size=configuration.batch_size,
        seed=configuration.seed,
        cut_out_share=configuration.cut_out_share,
    )
    network.compile(
        fitting.optimiser(
            learning_rate=configuration.learning_rate,
            steps=len(batches) * configuration.epochs,
            weight_decay=configuration.weight_decay,
        ),
        loss=MatteLoss(),
        metrics=[Overlap()],
    )
    validation = shelves.as_they_are(data.validation, configuration.size_px)
    fitting.fit(network, batches, validation=validation, epochs=configuration.epochs, record=record)
    network.save(record.folder / evaluate.NETWORK)
    seen = evaluate.coverages(network, data.validation)
    sheets.write(record.folder / SHEET, data.validation, seen)
    return network


def begun(configuration: Configuration) -> Network:
    """Return the network that training begins with.  Raises SetupFailed."""
    kind, side = configuration.network, configuration.size_px
    if side % networks.MULTIPLE_PX:
        raise SetupFailed(f"size_px={side} is no multiple of {networks.MULTIPLE_PX}")
    if kind in CARRIED:
        weights = Path(configuration.weights or data_folder() / "weights")
        known = carried(weights / configuration.begin, width=side, height=side)
        return networks.grown(known) if kind == "grown" else known
    if kind in networks.BLOCKS:
        return networks.build(kind, size_px=side, width=configuration.width)
    names = ", ".join((*CARRIED, *networks.BLOCKS))
    raise SetupFailed(f"network={kind} is none of {names}")
