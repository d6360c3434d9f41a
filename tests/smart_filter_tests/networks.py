"""Small networks that tests make: what each answers can be said beforehand."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from smart_filter_workers import admitted
from smart_filter_workers.admitted import Admitted

Floats = NDArray[np.float32]

SIDE_PX = 64
_OPSET = 17


def red_is_people() -> bytes:
    """Return a matting network: the matte is the first channel of its input."""
    starts, ends, axes = (
        numpy_helper.from_array(np.array([value], np.int64), name)
        for value, name in ((0, "starts"), (1, "ends"), (1, "axes"))
    )
    node = helper.make_node("Slice", ["picture", "starts", "ends", "axes"], ["matte"])
    return _network([node], {"matte": [1, 1, SIDE_PX, SIDE_PX]}, [starts, ends, axes])


def yolo(rows: Floats, prototypes: Floats) -> bytes:
    """Return a YOLO-seg network that sees the same in every picture.

    rows: (4 + classes + M, N) float32; prototypes: (M, h, w) float32.
    """
    return _constant({"output0": rows[np.newaxis], "output1": prototypes[np.newaxis]})


def rtmdet(boxes: Floats, labels: NDArray[np.int64], masks: Floats) -> bytes:
    """Return an RTMDet-Ins network that sees the same in every picture.

    boxes: (N, 5) float32 with scores; labels: (N,); masks: (N, h, w) float32.
    """
    return _constant(
        {
            "dets": boxes[np.newaxis],
            "labels": labels[np.newaxis].astype(np.float32),
            "masks": masks[np.newaxis],
        }
    )


def with_weights_elsewhere() -> bytes:
    """Return a network whose weights are read from another file."""
    model = onnx.load_model_from_string(red_is_people())
    tensor = model.graph.initializer[0]
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../secret.bin")
    content: bytes = model.SerializeToString()
    return content


def put(folder: Path, kind: str, entry: str, content: bytes, handling: Mapping[str, object]) -> str:
    """Put a network into a weights folder as an admitted file; return its path below it."""
    digest = hashlib.sha256(content).hexdigest()
    name = f"{kind}/{digest}.onnx"
    (folder / kind).mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)
    admitted.add(folder, Admitted(name, digest, kind, entry=entry, handling=handling))
    return name


def _constant(answers: Mapping[str, Floats]) -> bytes:
    """Return a network whose answers are these, whatever the picture and its size."""
    # Times nothing: an answer that hangs on no input would be no network's.
    zero = numpy_helper.from_array(np.zeros(1, np.float32), "zero")
    nodes = [
        helper.make_node("ReduceMean", ["picture"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
    ]
    initializers = [zero]
    for name, values in answers.items():
        initializers.append(numpy_helper.from_array(values.astype(np.float32), f"{name}_is"))
        nodes.append(helper.make_node("Add", [f"{name}_is", "nothing"], [name]))
    shapes = {name: list(one.shape) for name, one in answers.items()}
    return _network(nodes, shapes, initializers, size=("rows", "columns"))


def _network(
    nodes: Sequence[onnx.NodeProto],
    outputs: Mapping[str, Sequence[int]],
    initializers: Sequence[onnx.TensorProto],
    *,
    size: tuple[int | str, int | str] = (SIDE_PX, SIDE_PX),
) -> bytes:
    """Return a network; a side that is a word may be of any length."""
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
    model.ir_version = 10  # of every ONNX Runtime that the project allows
    content: bytes = model.SerializeToString()
    return content
