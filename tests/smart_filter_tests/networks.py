"""Small networks with predictable answers.

Those that separate red from other colors answer steep logits: red is people, a red of three
quarters is unsure, a gray wall is background.
"""

import hashlib
import importlib.util
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from smart_filter_workers.models import admission
from smart_filter_workers.results import Floats
from smart_filter_workers.weights import allowlist
from smart_filter_workers.weights.allowlist import AdmittedFile

SIDE_PX = 64
# The names of the networks of `a_folder` in recipes.
ENTRY = "made"
# Logit of a pixel: its red, 0 to 1, times the first number, plus the second.
STEEPNESS, OFFSET = 40.0, -30.0
_OPSET = 17
_MATTE = (1, 1, SIDE_PX, SIDE_PX)
_BOX = (SIDE_PX / 2, SIDE_PX / 2, SIDE_PX, SIDE_PX)


def models() -> list[str]:
    """Return the models that `a_folder` has a network for, and that can run here."""
    needed = {"onnx": (), "yolo": (), "unet": ("tensorflow", "keras")}
    return [
        name
        for name, packages in needed.items()
        if all(importlib.util.find_spec(package) for package in packages)
    ]


def a_folder(folder: Path) -> Path:
    """Return a weights folder with a network of ENTRY for each of `models`: red is people."""
    square = {"width": SIDE_PX, "height": SIDE_PX}
    whole = {**square, "fit": "centred", "padding": 114, "answer": "yolo"}
    put_network(folder, "onnx", ENTRY, red_logit_network(), {**square, "activation": "sigmoid"})
    put_network(folder, "yolo", ENTRY, red_person_yolo(), whole)
    if "unet" in models():
        put_network(folder, "unet", ENTRY, keras_red_network(), {})
    return folder


def red_matte_network() -> bytes:
    """Return a matting network: the matte is the first channel of its input."""
    node, constants = _red("matte")
    return _network([node], {"matte": _MATTE}, constants)


def red_logit_network(*, side: int | str = SIDE_PX) -> bytes:
    """Return a segmentation network: the logit of a pixel depends on its red."""
    nodes, constants = _logits("matte")
    return _network(nodes, {"matte": (1, 1, side, side)}, constants, size=(side, side))


def constant_network(answer: Floats) -> bytes:
    """Return a network that gives the same answer for every picture."""
    return _constant({"matte": answer})


def endless_network() -> bytes:
    """Return a matting network of a few hundred bytes that would run for centuries."""
    value = helper.make_tensor_value_info
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["goes_on"], ["still"]),
            helper.make_node("Sin", ["was"], ["is"]),
        ],
        "round",
        [
            value("round", TensorProto.INT64, []),
            value("goes_on", TensorProto.BOOL, []),
            value("was", TensorProto.FLOAT, _MATTE),
        ],
        [value("still", TensorProto.BOOL, []), value("is", TensorProto.FLOAT, _MATTE)],
    )
    red, constants = _red("red")
    loop = helper.make_node("Loop", ["rounds", "begins", "red"], ["matte"], body=body)
    constants += _constants(rounds=np.array(2**62, np.int64), begins=np.array(True))
    return _network([red, loop], {"matte": _MATTE}, constants)


def red_person_yolo() -> bytes:
    """Return a YOLO-seg network that sees one person as large as the input if it holds red."""
    cell = SIDE_PX // 16
    nodes, constants = _logits("logits")
    constants += _constants(
        box=np.array(_BOX, np.float32).reshape(1, 4, 1),
        coefficient=np.ones((1, 1, 1), np.float32),
        shape=np.array([1, 1, 1], np.int64),
    )
    nodes += [
        helper.make_node(
            "AveragePool", ["logits"], ["output1"], kernel_shape=[cell, cell], strides=[cell, cell]
        ),
        helper.make_node("ReduceMax", ["output1"], ["most"], keepdims=0),
        helper.make_node("Sigmoid", ["most"], ["seen"]),
        helper.make_node("Reshape", ["seen", "shape"], ["score"]),
        helper.make_node("Concat", ["box", "score", "coefficient"], ["output0"], axis=1),
    ]
    outputs = {"output0": [1, 6, 1], "output1": [1, 1, 16, 16]}
    return _network(nodes, outputs, constants)


def keras_red_network() -> bytes:
    """Return a small U-shaped network saved by Keras, whose last layer looks at red alone."""
    import keras  # noqa: PLC0415 - of an environment of its own

    layers = keras.layers
    picture = keras.Input((SIDE_PX, SIDE_PX, 3))
    down = layers.Conv2D(4, 3, padding="same", activation="relu")(picture)
    up = layers.UpSampling2D()(layers.MaxPooling2D()(down))
    last = layers.Conv2D(1, 1, activation="sigmoid")
    network = keras.Model(picture, last(layers.Concatenate()([picture, up])))
    kernel = np.zeros((1, 1, 7, 1), np.float32)
    kernel[0, 0, 0, 0] = STEEPNESS
    last.set_weights([kernel, np.array([OFFSET], np.float32)])
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        # A warning of Keras on TensorFlow about NumPy 2 copies.
        warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)
        path = Path(folder) / "network.keras"
        network.save(path)
        return path.read_bytes()


def yolo(rows: Floats, prototypes: Floats) -> bytes:
    """Return a YOLO-seg network that sees the same in every picture.

    rows: (4 + classes + M, N) float32; prototypes: (M, h, w) float32.
    """
    return _constant({"output0": rows[np.newaxis], "output1": prototypes[np.newaxis]})


def rtmdet(boxes: Floats, labels: NDArray[np.int64], masks: Floats) -> bytes:
    """Return an RTMDet-Ins network that sees the same in every picture.

    boxes: (N, 5) float32 with scores; labels: (N,); masks: (N, h, w) float32.
    """
    answers = {"dets": boxes, "labels": labels.astype(np.float32), "masks": masks}
    return _constant({name: values[np.newaxis] for name, values in answers.items()})


def network_with_external_weights() -> bytes:
    model = onnx.load_model_from_string(red_matte_network())
    tensor = model.graph.initializer[0]
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../secret.bin")
    content: bytes = model.SerializeToString()
    return content


def put_network(
    folder: Path, kind: str, entry: str, content: bytes, handling: Mapping[str, object]
) -> str:
    """Put a network into a weights folder as an admitted file; return its path below it."""
    digest = hashlib.sha256(content).hexdigest()
    name = f"{kind}/{digest}{admission.SUFFIXES[kind]}"
    (folder / kind).mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)
    allowlist.add(folder, AdmittedFile(name, digest, kind, entry=entry, handling=handling))
    return name


def _red(name: str) -> tuple[onnx.NodeProto, list[onnx.TensorProto]]:
    """Return a node that takes the first channel of the picture, and its constants."""
    bounds = {key: np.array([at], np.int64) for key, at in (("start", 0), ("end", 1), ("axis", 1))}
    return helper.make_node("Slice", ["picture", *bounds], [name]), _constants(**bounds)


def _constants(**values: NDArray[Any]) -> list[onnx.TensorProto]:
    return [numpy_helper.from_array(value, name) for name, value in values.items()]


def _logits(name: str) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    """Return nodes that make (1, 1, H, W) logits of redness per pixel, and their constants."""
    red, constants = _red("red")
    constants += _constants(
        steepness=np.array([STEEPNESS], np.float32), offset=np.array([OFFSET], np.float32)
    )
    nodes = [
        red,
        helper.make_node("Mul", ["red", "steepness"], ["steep"]),
        helper.make_node("Add", ["steep", "offset"], [name]),
    ]
    return nodes, constants


def _constant(answers: Mapping[str, Floats]) -> bytes:
    """Return a network with these answers for pictures of any content and size."""
    # Multiply by zero: a network's outputs must depend on its input.
    nodes = [
        helper.make_node("ReduceMean", ["picture"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
    ]
    constants = _constants(zero=np.zeros(1, np.float32))
    for name, values in answers.items():
        constants += _constants(**{f"{name}_is": values.astype(np.float32)})
        nodes.append(helper.make_node("Add", [f"{name}_is", "nothing"], [name]))
    shapes = {name: list(answer.shape) for name, answer in answers.items()}
    return _network(nodes, shapes, constants, size=("rows", "columns"))


def _network(
    nodes: Sequence[onnx.NodeProto],
    outputs: Mapping[str, Sequence[int | str]],
    initializers: Sequence[onnx.TensorProto],
    *,
    size: tuple[int | str, int | str] = (SIDE_PX, SIDE_PX),
) -> bytes:
    """Return a network; a side given as a word may have any length."""
    kind = TensorProto.FLOAT
    picture = helper.make_tensor_value_info("picture", kind, [1, 3, *size])
    graph = helper.make_graph(
        list(nodes),
        "small",
        [picture],
        [helper.make_tensor_value_info(name, kind, shape) for name, shape in outputs.items()],
        list(initializers),
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)])
    model.ir_version = 10  # readable by every ONNX Runtime that the project allows
    content: bytes = model.SerializeToString()
    return content
