"""How well persons are cut out: on the pictures held back, and as the product runs the file."""

import hashlib
import json
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import torch

from smart_filter_shared.cards import ENTRY
from smart_filter_shared.errors import SetupFailed
from smart_filter_training import measuring
from smart_filter_training.annotations import pictures
from smart_filter_training.models.deeplab import FILE, MODEL, TASK
from smart_filter_training.models.deeplab.batches import NOT_COUNTED, classes_of
from smart_filter_training.models.deeplab.data import Data
from smart_filter_training.models.deeplab.handling import handling
from smart_filter_training.models.deeplab.network import PERSON
from smart_filter_training.models.deeplab.train import Network
from smart_filter_workers import admission
from smart_filter_workers.admitted import Admitted
from smart_filter_workers.evaluation import intervals, metrics, tasks
from smart_filter_workers.evaluation.base import Floats
from smart_filter_workers.evaluation.intervals import Figure
from smart_filter_workers.networks import placing
from smart_filter_workers.results import Matte8, Srgb8
from smart_filter_workers.stages.segmentation.models import onnx


def figures(network: Network, data: Data) -> Mapping[str, Figure]:
    """Return the mean IoU of pictures held back; crowds do not count."""
    rows = []
    for picture in data.validation:
        classes = classes_of(picture, data.labels)
        matte = _matte(network, pictures.load(picture))
        known = np.where(classes == PERSON, np.uint8(255), np.uint8(0))
        rows.append([metrics.overlap(matte, known, classes != NOT_COUNTED)])
    return intervals.figures(np.array(rows, np.float64), _computed)


def measured(file: Path, folder: Path) -> Mapping[str, Figure]:
    """Return what the exported file reaches on photos with masks, by the product's model.

    file: the exported network, its handling beside it; folder: as `smart-filter eval` takes it.
    Raises FolderUnreadable, and SetupFailed when the product does not take the file.
    """
    with tempfile.TemporaryDirectory() as scratch:
        weights = Path(scratch)
        entry = Path(FILE).stem
        admitted = Admitted(
            name="",
            sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
            kind=MODEL,
            entry=entry,
            handling=_handling(file),
        )
        admission.let_in(weights, file, admitted)
        model = partial(onnx.load(weights), parameters=onnx.CARD.completed({ENTRY: entry}))
        return measuring.measured(tasks.of(TASK), model, folder)


def scores(network: Network, srgb: Srgb8) -> Floats:
    """Return (2, S, S) float64: how much each pixel is background and person.

    srgb: (H, W, 3) uint8, brought to the network's input as the product does.
    """
    values = placing.place(srgb, handling(network.configuration.crop)).values
    device = next(network.module.parameters()).device
    with torch.inference_mode():
        found = network.module(torch.from_numpy(values).to(device))[0]
    return np.asarray(found.cpu().numpy(), np.float64)


def _matte(network: Network, srgb: Srgb8) -> Matte8:
    background, person = scores(network, srgb)
    coverage = 1 / (1 + np.exp(background - person))
    size = (srgb.shape[1], srgb.shape[0])
    enlarged = cv2.resize(coverage.astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
    return np.asarray(np.rint(255 * enlarged), np.uint8)


def _computed(numbers: Floats, weights: Floats) -> Mapping[str, float]:
    return {"iou": metrics.mean(numbers[:, 0], weights)}


def _handling(file: Path) -> dict[str, Any]:  # Any: checked by whoever lets the file in
    beside = file.with_suffix(".json")
    try:
        return cast("dict[str, Any]", json.loads(beside.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise SetupFailed(f"{beside} says how the network is used; it cannot be read") from error
