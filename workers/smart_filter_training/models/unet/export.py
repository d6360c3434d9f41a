"""Exports a network to LiteRT, for the product and for phones, and to ONNX."""

import contextlib
import io
import json
from pathlib import Path
from typing import Any, Final

import keras
import numpy as np
from numpy.typing import NDArray

from smart_filter_shared.errors import SetupFailed
from smart_filter_training import exporting
from smart_filter_training.exporting import PARITY, Exported
from smart_filter_training.models.unet import FILE, evaluate
from smart_filter_training.models.unet.data import Data
from smart_filter_training.models.unet.shelves import Shelf
from smart_filter_workers.networks.litert import LiteRtNetwork

Network = Any  # keras ships no types
Floats = NDArray[np.float32]

MOST_BYTES: Final = 2_000_000
# Enough photos to see a difference.
_COMPARED: Final = 16
# What phones can take instead: weights in half precision, or in eight bits.
_HALF, _BYTES = "portrait_float16.tflite", "portrait_int8.tflite"
_FACTS: Final = "export.json"


def export(network: Network, data: Data, folder: Path) -> Exported:
    """Write the file of weights that the product runs, and others with what they cost.

    The product's file answers (1, S, S, 1) float32 coverage, 0..1, for (1, S, S, 3) of 0..1.
    `export.json` says of each file how large it is, how far its answers are from Keras's, and
    by how much its mean IoU on the validation split differs.
    Raises SetupFailed when the file is larger than MOST_BYTES, or its answers differ.
    """
    whole = _answering(network)
    sample = _first(data.validation)
    wanted = evaluate.coverages(network, sample)
    facts: dict[str, dict[str, float]] = {}
    for name in (FILE, _HALF, _BYTES):
        content = _converted(whole, name)
        (folder / name).write_bytes(content)
        seen = _seen_by(folder / name, sample, int(network.input_shape[1]))
        facts[name] = {
            "bytes": len(content),
            "difference": max(
                float(np.abs(a - b).max()) for a, b in zip(seen, wanted, strict=True)
            ),
            "iou_difference": _iou(seen, sample) - _iou(wanted, sample),
        }
    pictures = evaluate.inputs(sample, range(len(sample)), int(network.input_shape[1]))
    onnx = exporting.to_onnx(whole, folder / f"{Path(FILE).stem}.onnx", inputs=pictures)
    facts[onnx.file.name] = {"bytes": onnx.file.stat().st_size, "difference": onnx.parity}
    (folder / _FACTS).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    own = facts[FILE]
    if own["bytes"] > MOST_BYTES:
        raise SetupFailed(
            f"{FILE} has {own['bytes']:.0f} bytes, {MOST_BYTES} at most: --set a smaller width"
        )
    if own["difference"] > PARITY:
        raise SetupFailed(f"{FILE} answers otherwise than Keras, by {own['difference']:.4f}")
    return Exported(folder / FILE, own["difference"])


def _answering(network: Network) -> Network:
    """Return a network whose answer is coverage, not logits."""
    coverage = keras.layers.Activation("sigmoid", name="coverage")(network.output)
    return keras.Model(network.input, coverage, name="portrait")


def _first(shelf: Shelf) -> Shelf:
    return Shelf(shelf.pairs[:: max(1, len(shelf) // _COMPARED)])


def _converted(network: Network, name: str) -> bytes:
    import tensorflow as tf  # noqa: PLC0415 - only where something is written

    # One picture at a time: what the runtime on a phone prepares for is then what it gets.
    picture = keras.Input(batch_shape=(1, *network.input_shape[1:]), name="picture")
    converter = tf.lite.TFLiteConverter.from_keras_model(keras.Model(picture, network(picture)))
    if name != FILE:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if name == _HALF:
        converter.target_spec.supported_types = [tf.float16]
    # It tells all variables of the network.
    with contextlib.redirect_stdout(io.StringIO()):
        return bytes(converter.convert())


def _seen_by(file: Path, shelf: Shelf, size_px: int) -> list[Floats]:
    network = LiteRtNetwork(file)
    seen = []
    for number in range(len(shelf)):
        picture = evaluate.inputs(shelf, [number], size_px)
        (coverage,) = network(picture).values()
        seen.append(coverage[0, :, :, 0])
    return seen


def _iou(seen: list[Floats], shelf: Shelf) -> float:
    return evaluate.of_coverages(seen, shelf)["iou"].value
