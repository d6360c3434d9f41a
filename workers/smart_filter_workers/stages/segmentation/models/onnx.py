"""Any segmentation or matting network in ONNX, run as its manifest entry says."""

from pathlib import Path
from typing import Final

import numpy as np

from smart_filter_shared.catalog import parameters as read
from smart_filter_shared.catalog.model_card import ENTRY_PARAMETER, Commercial, ModelCard
from smart_filter_shared.catalog.parameters import Parameters
from smart_filter_shared.pipeline import TaskName
from smart_filter_workers.networks.runtimes import network_input
from smart_filter_workers.networks.runtimes.handling import TrainedTask
from smart_filter_workers.networks.runtimes.onnx_session import ConfiguredNetwork
from smart_filter_workers.results import PreparedPhoto
from smart_filter_workers.stages.segmentation.admitted_networks import (
    AdmittedNetworks,
    list_entries,
    load_networks,
)
from smart_filter_workers.stages.segmentation.mattes.edges import refine_edges
from smart_filter_workers.stages.segmentation.models.base import People

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
    return load_networks(weights, KIND, DEFAULT, _people)


def _people(opened: ConfiguredNetwork, prepared: PreparedPhoto, parameters: Parameters) -> People:
    del parameters  # the entry is opened already
    srgb, used = prepared.proxy_srgb, opened.handling
    placed = network_input.prepare(srgb, used)
    answers = opened.network(placed.values)
    if used.output >= len(answers):
        raise ValueError(f"the network has {len(answers)} outputs, none with number {used.output}")
    seen = network_input.read_coverage(answers[used.output], used)
    matte_01 = network_input.map_to_picture(seen, placed, used, srgb)
    if used.task == TrainedTask.SEGMENTATION:
        return People(refine_edges(matte_01, srgb), persons=None)
    return People(np.rint(np.clip(matte_01, 0, 1) * 255).astype(np.uint8), persons=None)
