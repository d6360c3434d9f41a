"""The network of the matte refiner: MODNet with the matte as a second input, in torch and in ONNX.

MODNet's own graph is run node by node: the library that converts ONNX to torch needs torchvision,
whose builds do not always import next to a torch for processors. Importing this one imports torch.
Source: Ke, Sun, Li, Yan & Lau 2022, "MODNet: Real-time trimap-free portrait matting via objective
decomposition".

Large convolutions of the exported network calculate in eight bits: half of its processor time.
Source: Jacob et al. 2018, "Quantization and training of neural networks for efficient
integer-arithmetic-only inference".
"""

import io
import operator
import tempfile
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from torch import Tensor, nn
from torch.nn import functional

from smart_filter_training.onnx_export import OPSET
from smart_filter_workers.networks.runtimes import onnx_network
from smart_filter_workers.results import Floats
from smart_filter_workers.stages.segmentation.mattes.consensus import LEAST, MOST

Proto: TypeAlias = Any  # protobuf has no types

INPUT, LOGITS = "picture_and_matte", "logits"
# Nodes of the graph before this number keep their weights: the first layers see edges and textures,
# and without their gradients a step is shorter.
FIRST_TRAINED: Final = 60
# The shares of MODNet's logits and of the matte's in the answer before training.
NETWORK_SHARE, MATTE_SHARE = 0.8, 0.7
# Weights of at least these numbers of values are stored in 16, 8 and 4 bits. Only one convolution
# has as many as the last; it is half of the network.
HALF_FROM, BYTES_FROM, NIBBLES_FROM = 512, 16_384, 1_000_000
# The steps that are tried, as shares of the one that cuts nothing off.
CUT_OFF: Final = (0.75, 0.8, 0.85, 0.9, 0.95, 1.0)


# Convolutions of at least this size and number of input channels calculate in eight bits. Smaller
# ones gain no time: the values are converted before and after.
LEAST_SIZE, LEAST_CHANNELS = 3, 32


class Refiner(nn.Module):  # type: ignore[misc]  # type checks run without torch
    """The network, which before training answers a mixture of the matte and MODNet's own."""

    def __init__(self, graph: Proto) -> None:
        super().__init__()
        *self.nodes, sigmoid = (node for node in graph.node if node.op_type != "Constant")
        self.answer = sigmoid.input[0]
        stored = {part.name: numpy_helper.to_array(part) for part in graph.initializer}
        for node in graph.node:
            if node.op_type == "Constant":
                stored[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
        self.numbers: dict[str, Any] = {}
        weights = {}
        trained = {name for node in self.nodes for name in _list_trained(node)}
        for name, values in stored.items():
            if values.dtype == np.float32:
                tensor = torch.from_numpy(values.copy())
                weights[_to_key(name)] = nn.Parameter(tensor, requires_grad=name in trained)
            else:
                self.numbers[name] = values.tolist()
        self.weights = nn.ParameterDict(weights)
        channels = stored[self.nodes[0].input[1]].shape[0]
        self.matte_weight = nn.Parameter(torch.zeros(channels, 1, 3, 3))
        self.network_share = nn.Parameter(torch.tensor(NETWORK_SHARE))
        self.matte_share = nn.Parameter(torch.tensor(MATTE_SHARE))
        self.bias = nn.Parameter(torch.tensor(0.0))

    @property
    def added(self) -> list[nn.Parameter]:
        """The parameters that MODNet does not have."""
        return [self.matte_weight, self.network_share, self.matte_share, self.bias]

    def forward(self, picture_and_matte: Tensor) -> Tensor:
        """Return (n, 1, H, W) float32 logits of the coverage.

        picture_and_matte: (n, 4, H, W) float32: the picture as MODNet takes it; the matte, 0..1.
        """
        picture, matte = picture_and_matte[:, :3], picture_and_matte[:, 3:]
        values: dict[str, Any] = {"input": picture, **self.numbers}
        for node in self.nodes:
            inputs = [
                values[name] if name in values else self.weights[_to_key(name)]
                for name in node.input
            ]
            values[node.output[0]] = _run_node(node, inputs)
            if node is self.nodes[0]:
                features = functional.conv2d(matte, self.matte_weight, stride=2, padding=1)
                values[node.output[0]] = values[node.output[0]] + features
        given = torch.logit(matte.float().clamp(LEAST, MOST))
        return (
            self.network_share * values[self.answer].float() + self.matte_share * given + self.bias
        )


def load_modnet(content: bytes) -> Refiner:
    """Return the network with MODNet's weights.  content: its ONNX file."""
    return Refiner(onnx.load_from_string(content).graph)


def to_onnx(network: Refiner, inputs: Iterable[NDArray[np.float32]]) -> bytes:
    """Return the network as ONNX, in few bits, for any number of pictures of any size.

    ONNX Runtime widens the weights when it loads the file.
    inputs: examples, (1, 4, H, W) float32, which set the ranges of eight bits.
    """
    axes = {0: "batch_size", 2: "height", 3: "width"}
    content = io.BytesIO()
    with warnings.catch_warnings():
        # The newer exporter needs another package and writes the same network. The other warnings
        # are about instance normalization, which always uses its input's own mean.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (torch.zeros(1, 4, 64, 64),),
            content,
            dynamo=False,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=[LOGITS],
            dynamic_axes=dict.fromkeys((INPUT, LOGITS), axes),
        )
    model = onnx.load_from_string(quantize(content.getvalue(), inputs))
    nodes = [*store_compactly(model.graph), *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))


def store_compactly(graph: Proto) -> list[Proto]:
    """Replace a graph's weights by weights in few bits; return the nodes that widen them."""
    nodes: list[Proto] = []
    for part in list(graph.initializer):
        weights = numpy_helper.to_array(part)
        if weights.dtype == np.float32 and weights.size >= HALF_FROM:
            graph.initializer.remove(part)
            nodes += _store_weights(graph, part.name, weights)
    return nodes


def _store_weights(graph: Proto, name: str, weights: NDArray[np.float32]) -> list[Proto]:
    """Store weights in few bits; return the nodes that give them by their name."""

    def add(kind: str, values: NDArray[Any]) -> str:
        graph.initializer.append(numpy_helper.from_array(values, f"{name}_{kind}"))
        return f"{name}_{kind}"

    def widen(stored: str, wide: str) -> Proto:
        return helper.make_node("Cast", [stored], [wide], to=onnx.TensorProto.FLOAT)

    if weights.size < BYTES_FROM:
        return [widen(add("halves", weights.astype(np.float16)), name)]
    count, step = f"{name}_count", f"{name}_step"
    if weights.size < NIBBLES_FROM:
        # One step for each output channel.
        counts, steps = _count_steps(weights, 127, tuple(range(1, weights.ndim)))
        nodes = [widen(add("bytes", counts.astype(np.int8)), count)]
    else:
        # One step for each kernel; two weights in a byte, of the first and the second half.
        counts, steps = _count_steps(weights, 7, (2, 3))
        high, low = np.split((counts + 8).astype(np.uint8), 2)
        both = add("nibbles", high << 4 | low)
        four, sixteen = (add(str(number), np.array([number], np.uint8)) for number in (4, 16))
        high_name, low_name, raised = f"{name}_high", f"{name}_low", f"{name}_raised"
        nodes = [
            helper.make_node("BitShift", [both, four], [high_name], direction="RIGHT"),
            helper.make_node("Mod", [both, sixteen], [low_name]),
            helper.make_node("Concat", [high_name, low_name], [raised], axis=0),
            widen(raised, f"{raised}_wide"),
            helper.make_node(
                "Sub", [f"{raised}_wide", add("eight", np.array([8], np.float32))], [count]
            ),
        ]
    halves = widen(add("steps", steps.astype(np.float16)), step)
    return [*nodes, halves, helper.make_node("Mul", [count, step], [name])]


def _count_steps(
    weights: NDArray[np.float32], most: int, axes: tuple[int, ...]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return weights as whole numbers of steps, at most `most`, and the steps over the axes.

    Of the steps that cut the largest weights off or do not, the one of the least squared error.
    """
    largest = np.abs(weights).max(axis=axes, keepdims=True)
    whole = np.where(largest > 0, largest / np.float32(most), np.float32(1)).astype(np.float32)
    best, least = whole, np.full(whole.shape, np.inf, np.float32)
    for share in CUT_OFF:
        steps = whole * np.float32(share)
        counts = np.clip(np.rint(weights / steps), -most, most)
        error = np.square(counts * steps - weights).sum(axis=axes, keepdims=True)
        best, least = np.where(error < least, steps, best), np.minimum(error, least)
    return np.clip(np.rint(weights / best), -most, most), best


def _list_trained(node: Proto) -> list[str]:
    """Return the names of a node's weights that training changes."""
    if int(node.name.rpartition("_")[2]) < FIRST_TRAINED:
        return []
    # A normalization's mean and variance stay MODNet's: batches of six are too small for others.
    trained = {"Conv": slice(1, None), "BatchNormalization": slice(1, 3)}
    return list(node.input[trained[node.op_type]]) if node.op_type in trained else []


def _run_node(node: Proto, inputs: list[Any]) -> Any:  # noqa: ANN401 - a tensor, or a shape
    """Return the output of a node; shapes are sequences of whole numbers."""
    if node.op_type in _PLAIN:
        return _PLAIN[node.op_type](*inputs)
    first, *others = inputs
    options = {option.name: helper.get_attribute_value(option) for option in node.attribute}
    match node.op_type:
        case "Conv":
            # MODNet pads all sides alike.
            padding, stride = options["pads"][:2], options["strides"]
            return functional.conv2d(first, *others, stride, padding, groups=options["group"])
        case "BatchNormalization":
            scale, bias, mean, variance = others
            epsilon = options["epsilon"]
            return functional.batch_norm(first, mean, variance, scale, bias, eps=epsilon)
        case "InstanceNormalization":
            scale, bias = others
            return functional.instance_norm(first, weight=scale, bias=bias, eps=options["epsilon"])
        case "Concat" if isinstance(first, Tensor):
            return torch.cat(inputs, options["axis"])
        case "Concat":
            return [size for shape in inputs for size in shape]
        case _:
            raise NotImplementedError(node.op_type)


def _slice_channels(
    maps: Tensor, starts: list[int], ends: list[int], _axes: list[int], _steps: list[int]
) -> Tensor:
    return maps[:, starts[0] : ends[0]]


def _resize(maps: Tensor, _region: Tensor, scales: Tensor) -> Tensor:
    return functional.interpolate(maps, scale_factor=scales.tolist()[2:], mode="bilinear")


def _clip(maps: Tensor, least: Tensor, most: Tensor) -> Tensor:
    # With `clamp` and tensors as limits a step takes an eighth more: its gradient compares twice.
    return functional.hardtanh(maps, float(least), float(most))


def _make_list(size: int) -> list[int]:
    return [size]


# The operations without options.
_PLAIN: Final = {
    "Add": torch.add,
    "Clip": _clip,
    "Expand": Tensor.expand,
    "Gather": operator.getitem,
    "GlobalAveragePool": nn.AdaptiveAvgPool2d(1),
    "MatMul": torch.matmul,
    "Mul": torch.mul,
    "Relu": torch.relu,
    "Reshape": torch.reshape,
    "Resize": _resize,
    "Shape": Tensor.size,
    "Sigmoid": torch.sigmoid,
    "Slice": _slice_channels,
    "Unsqueeze": _make_list,
}


def _to_key(name: str) -> str:
    """Return the name of a weight without the dot, which torch keeps for modules."""
    return name.replace(".", "/")


def quantize(content: bytes, inputs: Iterable[Floats]) -> bytes:
    """Return the network with large convolutions in eight bits.

    content: the network as ONNX, in single precision.  inputs: examples of its input, which set
    the ranges of its values.
    """
    library = onnx_network.load_quantization()
    model = onnx.load_from_string(content)
    with tempfile.TemporaryDirectory() as scratch:
        whole, eight_bits = Path(scratch) / "whole.onnx", Path(scratch) / "eight_bits.onnx"
        # Without this mark the library asks for steps that this network does not need.
        library.quant_utils.add_pre_process_metadata(model)
        onnx.save(model, whole)
        library.quantize_static(
            whole,
            eight_bits,
            _Examples(model.graph.input[0].name, inputs),
            nodes_to_quantize=_list_large(model.graph),
            per_channel=True,
            # Weights of seven bits: without VNNI, sums of products of more bits are cut off.
            reduce_range=True,
            activation_type=library.QuantType.QUInt8,
            weight_type=library.QuantType.QInt8,
            # ONNX Runtime converts the weights when it loads the file, which stores them in less.
            extra_options={"AddQDQPairToWeight": True},
        )
        quantized = onnx.load(eight_bits)
    del quantized.metadata_props[:]
    return bytes(quantized.SerializeToString())


class _Examples:
    """Examples of a network's input, as ONNX Runtime reads them."""

    def __init__(self, name: str, inputs: Iterable[Floats]) -> None:
        self._left = ({name: values} for values in inputs)

    def get_next(self) -> Mapping[str, Floats] | None:
        """Return the next example; None after the last."""
        return next(self._left, None)


def _list_large(graph: Proto) -> list[str]:
    """Return the names of the large convolutions."""
    kernels = {part.name: part.dims for part in graph.initializer}
    return [
        node.name
        for node in graph.node
        if node.op_type == "Conv"
        and kernels[node.input[1]][1] >= LEAST_CHANNELS
        and kernels[node.input[1]][2] >= LEAST_SIZE
    ]
