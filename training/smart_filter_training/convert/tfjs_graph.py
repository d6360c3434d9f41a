"""Convert a part of a TensorFlow.js graph to ONNX, with weights of eight bits.

Only the operations of convolutional networks are known. The result depends on the input alone, so
that a second conversion yields the same bytes.
"""

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Floats = NDArray[np.float32]
# Any: JSON, and protobuf's messages, have no types.
Json = Mapping[str, Any]

OPSET: Final = 17
# A tensor with fewer values keeps its precision: biases and constants.
MIN_QUANTIZED: Final = 1024
MAX_LEVEL: Final = 127
_ACTIVATIONS: Final = {"Relu", "Relu6"}
_CONVOLUTIONS: Final = {
    "_FusedConv2D",
    "Conv2D",
    "FusedDepthwiseConv2dNative",
    "DepthwiseConv2dNative",
}
_BINARY: Final = {"Add": "Add", "AddV2": "Add", "Sub": "Sub", "Mul": "Mul"}


def convert(
    graph: Json, values: bytes, *, source: str, picture: str, outputs: Mapping[str, str]
) -> onnx.ModelProto:
    """Return the part of a graph that leads from a picture to `outputs`.

    graph: the parsed `model.json`; values: the weights' file.  source: what the file is made from.
    picture: the name of the node that yields the picture as floats.  outputs: the new name of each
    output's node.  The network takes (1, H, W, 3) float32 of any height and width.
    Raises ValueError when an operation on the way is unknown.
    """
    nodes = {node["name"]: node for node in graph["modelTopology"]["node"]}
    converter = _Converter(nodes, _read_weights(graph, values))
    converter.add("Transpose", ["picture"], picture, perm=[0, 3, 1, 2])
    for name in _in_order(nodes, picture, outputs):
        converter.convert(nodes[name])
    for name, output in outputs.items():
        converter.add("Transpose", [name], output, perm=[0, 2, 3, 1])
    made = helper.make_graph(
        converter.made,
        "network",
        [helper.make_tensor_value_info("picture", TensorProto.FLOAT, [1, "height", "width", 3])],
        [
            helper.make_tensor_value_info(output, TensorProto.FLOAT, [1, "rows", "columns", None])
            for output in outputs.values()
        ],
        converter.tensors,
    )
    model = helper.make_model(
        made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8, doc_string=source
    )
    onnx.checker.check_model(model)
    return model


def _read_weights(graph: Json, values: bytes) -> dict[str, NDArray[Any]]:
    """Return the tensors of the weights' file by name."""
    weights: dict[str, NDArray[Any]] = {}
    start = 0
    for group in graph["weightsManifest"]:
        for entry in group["weights"]:
            stored = np.dtype(entry.get("quantization", {}).get("dtype", entry["dtype"]))
            count = int(np.prod(entry["shape"], dtype=np.int64))
            tensor = np.frombuffer(values, stored.newbyteorder("<"), count, start)
            weights[entry["name"]] = tensor.reshape(entry["shape"]).astype(entry["dtype"])
            start += count * stored.itemsize
    if start != len(values):
        raise ValueError(f"the graph lists {start} bytes of weights, the file has {len(values)}")
    return weights


def _in_order(nodes: Mapping[str, Json], picture: str, outputs: Mapping[str, str]) -> Iterator[str]:
    """Yield the names of the nodes between the picture and the outputs, inputs first."""
    seen = {picture}
    waiting = [(name, False) for name in reversed(list(outputs))]
    while waiting:
        name, is_ready = waiting.pop()
        if is_ready:
            yield name
        elif name not in seen and name in nodes and nodes[name]["op"] != "Const":
            seen.add(name)
            waiting.append((name, True))
            waiting += [(before, False) for before in reversed(_picture_inputs(nodes[name]))]


def _picture_inputs(node: Json) -> Sequence[str]:
    # A resize doubles the size here; its second input computes the doubled size.
    inputs: Sequence[str] = node["input"]
    return inputs[:1] if node["op"] == "ResizeBilinear" else inputs


class _Converter:
    """The nodes and tensors made up to now."""

    def __init__(self, nodes: Mapping[str, Json], weights: Mapping[str, NDArray[Any]]) -> None:
        self._nodes, self._weights = nodes, weights
        self.made: list[onnx.NodeProto] = []
        self.tensors: list[onnx.TensorProto] = []

    def add(
        self,
        kind: str,
        inputs: Sequence[str],
        output: str,
        **attributes: Any,  # noqa: ANN401 - as protobuf's
    ) -> str:
        self.made.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def convert(self, node: Json) -> None:
        kind, name = node["op"], node["name"]
        if kind in _CONVOLUTIONS:
            self._convolution(node)
        elif kind in _BINARY:
            self.add(_BINARY[kind], [self._value(input_) for input_ in node["input"]], name)
        elif kind == "ResizeBilinear":
            self._doubling(node)
        elif kind == "Sigmoid":
            self.add("Sigmoid", node["input"], name)
        else:
            raise ValueError(f"{name} is an unknown operation, {kind}")

    def _convolution(self, node: Json) -> None:
        name, attributes = node["name"], node["attr"]
        kernel = self._weights[node["input"][1]]
        is_depthwise = "epthwise" in node["op"]
        # (height, width, in, out) to (out, in, height, width)
        kernel = kernel.transpose((2, 3, 0, 1) if is_depthwise else (3, 2, 0, 1))
        fused = attributes["fused_ops"]["list"]["s"] if "fused_ops" in attributes else ()
        activations = [name for name in map(_text, fused) if name in _ACTIVATIONS]
        inputs = [node["input"][0], self._quantized(f"{name}/kernel", kernel)]
        inputs += [self._value(input_) for input_ in node["input"][2:3]]
        plain = f"{name}/plain" if activations else name
        strides = [int(step) for step in attributes["strides"]["list"]["i"][1:3]]
        padding = {"SAME": "SAME_UPPER", "VALID": "VALID"}[_text(attributes["padding"]["s"])]
        self.add(
            "Conv",
            inputs,
            plain,
            group=len(kernel) if is_depthwise else 1,
            kernel_shape=kernel.shape[2:],
            strides=strides,
            auto_pad=padding,
        )
        if activations == ["Relu"]:
            self.add("Relu", [plain], name)
        elif activations == ["Relu6"]:
            bounds = [self._constant(f"relu6/{level}", np.float32(level)) for level in (0, 6)]
            self.add("Clip", [plain, *bounds], name)

    def _doubling(self, node: Json) -> None:
        if not node["attr"]["half_pixel_centers"]["b"]:
            raise ValueError(f"{node['name']} resizes from the pixels' corners")
        factors = self._constant("doubling", np.array([1, 1, 2, 2], np.float32))
        self.add(
            "Resize",
            [node["input"][0], "", factors],
            node["name"],
            mode="linear",
            coordinate_transformation_mode="half_pixel",
        )

    def _value(self, name: str) -> str:
        """Return the name of an input; a constant becomes a tensor with its channels first."""
        if name not in self._weights:
            return name
        value = self._weights[name].astype(np.float32)
        if value.ndim == 4:  # noqa: PLR2004 - batch, height, width, channels
            value = value.transpose(0, 3, 1, 2)
        return self._constant(name, value)

    def _constant(self, name: str, value: Floats | np.float32) -> str:
        if all(made.name != name for made in self.tensors):
            tensor = np.ascontiguousarray(value) if np.ndim(value) else np.asarray(value)
            self.tensors.append(numpy_helper.from_array(tensor, name))
        return name

    def _quantized(self, name: str, kernel: Floats) -> str:
        """Add a kernel, in eight bits with a factor for each of its outputs; return its name.

        The runtime multiplies once, when it loads the file, and computes with floats.
        """
        if kernel.size < MIN_QUANTIZED:
            return self._constant(name, kernel)
        largest = np.abs(kernel).max(axis=(1, 2, 3), keepdims=True)
        factor = np.maximum(largest / MAX_LEVEL, np.finfo(np.float32).tiny).astype(np.float32)
        levels = np.rint(kernel / factor).astype(np.int8)
        self.tensors.append(numpy_helper.from_array(levels, f"{name}/levels"))
        self._constant(f"{name}/factor", factor)
        self.add("Cast", [f"{name}/levels"], f"{name}/floats", to=TensorProto.FLOAT)
        return self.add("Mul", [f"{name}/floats", f"{name}/factor"], name)


def _text(encoded: str) -> str:
    return base64.b64decode(encoded).decode("ascii")


def parse(content: bytes) -> Json:
    """Return the graph of a `model.json`.  Raises ValueError when it is not one."""
    graph: Json = json.loads(content)
    if graph.get("format") != "graph-model":
        raise ValueError("this is not the model.json of a TensorFlow.js graph")
    return graph
