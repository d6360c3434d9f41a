"""Writes the network as ONNX, and beside it how the product's `onnx` model is to use it."""

import json
import warnings
from pathlib import Path
from typing import Final

import numpy as np
import torch

from smart_filter_shared.errors import SetupFailed
from smart_filter_training.annotations import pictures
from smart_filter_training.exporting import OPSET, PARITY, Exported
from smart_filter_training.models.deeplab import FILE
from smart_filter_training.models.deeplab.data import Data
from smart_filter_training.models.deeplab.evaluate import scores
from smart_filter_training.models.deeplab.handling import handling
from smart_filter_training.models.deeplab.train import Network
from smart_filter_workers.networks import placing
from smart_filter_workers.networks.onnx_session import OnnxNetwork

MOST_COMPARED: Final = 8


def export(network: Network, data: Data, folder: Path) -> Exported:
    """Write the network, with the answers to validation pictures compared to its own.

    Raises SetupFailed when they differ.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / FILE
    scratch = file.with_suffix(".part")
    side = network.configuration.crop
    network.module.cpu()
    with warnings.catch_warnings():
        # The other exporter needs a package more and writes the same network.
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            network.module,
            (torch.zeros(1, 3, side, side),),
            str(scratch),
            dynamo=False,
            opset_version=OPSET,
            input_names=["picture"],
            output_names=["scores"],
        )
    used = handling(side)
    exported = OnnxNetwork(scratch.read_bytes())
    worst = 0.0
    for picture in data.validation[:MOST_COMPARED]:
        srgb = pictures.load(picture)
        (found,) = exported(placing.place(srgb, used).values)
        worst = max(worst, float(np.abs(found[0] - scores(network, srgb)).max()))
    if worst > PARITY:
        raise SetupFailed(f"{FILE} answers {worst:.2g} unlike the network, at most {PARITY} counts")
    told = json.dumps(used.told, indent=2)
    file.with_suffix(".json").write_text(f"{told}\n", encoding="utf-8")
    scratch.replace(file)
    return Exported(file, worst)
