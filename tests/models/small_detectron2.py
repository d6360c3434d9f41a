"""Small detectron2 networks with random weights, made and admitted by the tests.

Random weights prove the wiring, not the detection: the last layers are set so that there are
persons of known scores.
"""

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smart_filter_shared.catalog.parameters import Parameters
from smart_filter_workers.networks.detectron2 import predictor, predictor_cache
from smart_filter_workers.stages.segmentation.models import detectron2
from smart_filter_workers.weights import allowlist
from smart_filter_workers.weights.allowlist import AdmittedFile

# A network of a few MB.
SMALL = """
_BASE_: {base}
MODEL:
  MASK_ON: {masks}
  RESNETS: {{DEPTH: 18, RES2_OUT_CHANNELS: 64, NORM: GN}}
  FPN: {{OUT_CHANNELS: 32}}
  RPN: {{PRE_NMS_TOPK_TEST: 100, POST_NMS_TOPK_TEST: 20}}
  ROI_HEADS: {{NUM_CLASSES: 2}}
  ROI_BOX_HEAD: {{FC_DIM: 32}}
  ROI_MASK_HEAD: {{CONV_DIM: 32}}
  SEM_SEG_HEAD: {{NUM_CLASSES: 3, CONVS_DIM: 32}}
INPUT: {{MIN_SIZE_TEST: 96, MAX_SIZE_TEST: 160}}
SOLVER: {{MAX_ITER: 10}}
"""
BASES = {
    "instance": "Base-RCNN-FPN.yaml",
    "panoptic": "COCO-PanopticSegmentation/Base-Panoptic-FPN.yaml",
    "semantic": "Misc/semantic_R_50_FPN_1x.yaml",
}
NAMES = {
    "instance": ("person", "dog"),
    "panoptic": ("person", "dog", "things", "sky", "sea"),
    "semantic": ("things", "sky", "sea"),
}


@dataclass(frozen=True)
class AdmittedModels:
    """A weights folder, and the addresses of the admitted models by kind."""

    folder: Path
    addresses: dict[str, str]

    def parameters(self, kind: str = "instance", **given: float | str) -> Parameters:
        wanted = {"entry": self.addresses[kind], "threshold": 0.3, "least_share": 0.0, **given}
        return detectron2.CARD.completed(wanted)


def make(folder: Path) -> AdmittedModels:
    """Make and admit one model of each kind."""
    # OpenMP threads wait by spinning: next to other tests that takes three times as long.
    importlib.import_module("torch").set_num_threads(1)
    addresses = {}
    for kind, base in BASES.items():
        config = folder / f"{kind}.yaml"
        config.write_text(SMALL.format(base=base, masks="true"))
        addresses[kind] = predictor_cache.admit_config(config, folder, names=NAMES[kind]).address
        weights = write(folder / f"{kind}.npz", random_arrays(addresses[kind], folder))
        predictor_cache.admit_weights(weights, folder, config=addresses[kind])
    return AdmittedModels(folder, addresses)


def write(path: Path, arrays: dict[str, NDArray[Any]]) -> Path:
    np.savez(path, **arrays)  # type: ignore[arg-type]  # NumPy has a parameter of its own among them
    return path


def random_arrays(address: str, folder: Path) -> dict[str, NDArray[Any]]:
    importlib.import_module("torch").manual_seed(3)
    model = build_predictor(address, folder).model
    state: dict[str, NDArray[Any]] = {
        name: value.numpy().copy() for name, value in model.state_dict().items()
    }
    for name, array in state.items():
        if name.endswith("cls_score.weight"):
            array[...] = 20 * array
        elif name.endswith("cls_score.bias"):
            array[0] += 2
        elif name.endswith("mask_head.predictor.bias"):
            array[...] = array + 1
    return state


def build_predictor(address: str, folder: Path) -> predictor.BuiltModel:
    config = own_config(address, folder)
    return predictor.build_model(
        predictor_cache.load_own_config(folder, config), device="cpu", names=config.classes
    )


def own_config(address: str, folder: Path) -> AdmittedFile:
    return next(
        file
        for file in allowlist.read_allowlist(folder)
        if file.kind == predictor_cache.CONFIG_KIND and file.address == address
    )
