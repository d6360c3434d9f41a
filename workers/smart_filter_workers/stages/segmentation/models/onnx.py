"""Any segmentation or matting network in ONNX, run as its manifest entry says."""

from pathlib import Path
from typing import Final

from smart_filter_shared.catalog import parameters as read
from smart_filter_shared.catalog.model_card import ENTRY_PARAMETER, Commercial, ModelCard
from smart_filter_shared.pipeline import TaskName
from smart_filter_workers.networks.runtimes import onnx_network
from smart_filter_workers.stages.segmentation.admitted_networks import (
    AdmittedNetworks,
    list_entries,
    load_networks,
    segment_in_one_matte,
)

KIND: Final = "onnx"
DEFAULT: Final = "u2netp"
CARD: Final = ModelCard(
    name="onnx",
    version="1",
    task=TaskName.SEGMENTATION,
    family="onnx",
    title="Any segmentation or matting network in ONNX, such as U²-Net, IS-Net, MODNet, BiRefNet",
    source="the manifest's entries, docs/models.md",
    # Licenses of the ready entries; the offered ones depend on the entries that are present.
    license="Apache-2.0 AND MIT",
    data_terms="each entry's own: docs/models.md",
    commercial=Commercial.ASK,
    devices=("cpu", "cuda", "tensorrt"),
    parameters=(read.choice(ENTRY_PARAMETER, DEFAULT, "Network to use", choices=()),),
)


def entries(weights: Path) -> tuple[str, ...]:
    """Return the names of the networks whose files are in the weights folder."""
    return list_entries(weights, KIND)


def load(weights: Path) -> AdmittedNetworks:
    """Load the default network, or the first that opens.  Raises ModelNotLoaded."""
    return load_networks(weights, KIND, DEFAULT, onnx_network.open_network, segment_in_one_matte)
