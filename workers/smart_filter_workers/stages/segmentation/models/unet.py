"""A network saved by Keras 3 and run by TensorFlow, from training here or elsewhere."""

from pathlib import Path
from typing import Final

from smart_filter_shared.catalog import parameters as read
from smart_filter_shared.catalog.model_card import ENTRY_PARAMETER, Commercial, ModelCard
from smart_filter_shared.pipeline import TaskName
from smart_filter_workers.networks.runtimes import keras_network
from smart_filter_workers.stages.segmentation.admitted_networks import (
    AdmittedNetworks,
    list_entries,
    load_networks,
    segment_in_one_matte,
)

KIND: Final = "unet"
DEFAULT: Final = "unet"
CARD: Final = ModelCard(
    name="unet",
    version="1",
    task=TaskName.SEGMENTATION,
    family="unet",
    title="A network saved by Keras 3, by the digest of its .keras file",
    source="files that the operator admits, docs/models.md",
    license="NOASSERTION",
    data_terms="each file's own",
    commercial=Commercial.ASK,
    devices=("cpu", "cuda"),
    parameters=(read.choice(ENTRY_PARAMETER, DEFAULT, "Network to use", choices=()),),
    requires=("tensorflow", "keras"),
    extra="tensorflow",
)


def entries(weights: Path) -> tuple[str, ...]:
    """Return the names of the networks whose files are in the weights folder."""
    return list_entries(weights, KIND)


def load(weights: Path) -> AdmittedNetworks:
    """Load the default network, or the first that opens.  Raises ModelNotLoaded."""
    return load_networks(weights, KIND, DEFAULT, keras_network.open_network, segment_in_one_matte)
