"""Round the kernels of a network to few levels, as the networks in the package are stored.

    python -m smart_filter_training.fewer_bits NETWORK.onnx EXAMPLES.npy BITS OUT.onnx

EXAMPLES: inputs of the network, (N, …) float32.  Kernels become bytes in the file, which the wheel
compresses; ONNX Runtime widens them when it loads the file.

Source: Frantar, Ashkboos, Hoefler & Alistarh 2022, "GPTQ: accurate post-training quantization for
generative pre-trained transformers", algorithm 1, without its blocks.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from smart_filter_workers.networks.runtimes import onnx_network
from smart_filter_workers.results import Doubles, Floats

Proto = Any  # protobuf has no types

# Kernels of fewer weights stay as they are: together they are a hundredth of a file.
LEAST_WEIGHTS: Final = 1024
# Inputs of an output that a Hessian is made for: one of this many takes 0.2 GB.
MOST_INPUTS: Final = 5000
# Share of a Hessian's mean that is added to its diagonal. Source: Frantar et al. 2022, section 3.
DAMPING: Final = 0.01
# Shares of a channel's largest weight that its highest level may stand for.
_CLIPS: Final = np.linspace(0.5, 1, 11)
_PLAIN_CONVOLUTION: Final = {"group": 1, "dilations": [1, 1], "auto_pad": b"NOTSET"}


def round_kernels(content: bytes, inputs: Floats, *, bits: int) -> bytes:
    """Return an ONNX network whose convolutions have kernels of 2 ** bits - 1 levels.

    content: in single precision.  inputs: examples, for which the answers change the least.
    """
    model = onnx.load_from_string(content)
    kernels = {
        part.name: np.array(numpy_helper.to_array(part))
        for part in model.graph.initializer
        if np.prod(part.dims) >= LEAST_WEIGHTS and np.prod(part.dims[1:]) <= MOST_INPUTS
    }
    nodes = [
        node
        for node in model.graph.node
        if node.op_type == "Conv" and node.input[1] in kernels and _is_plain(node)
    ]
    if not nodes:
        return content
    hessians = _measure_hessians(content, nodes, kernels, inputs)
    widening: list[Proto] = []
    for node in nodes:
        name = node.input[1]
        if name not in kernels:
            continue  # another convolution has the same one
        kernel = kernels.pop(name)
        flat = kernel.reshape(len(kernel), -1)
        levels, steps = choose_levels(flat, hessians[name], most=2 ** (bits - 1) - 1)
        (part,) = (part for part in model.graph.initializer if part.name == name)
        model.graph.initializer.remove(part)
        parts: dict[str, NDArray[Any]] = {
            f"{name}_levels": levels.reshape(kernel.shape),
            f"{name}_steps": steps.reshape(-1, 1, 1, 1),
        }
        for stored, values in parts.items():
            model.graph.initializer.append(numpy_helper.from_array(values, stored))
            cast = helper.make_node("Cast", [stored], [f"{stored}_wide"], to=onnx.TensorProto.FLOAT)
            widening.append(cast)
        widening.append(helper.make_node("Mul", [f"{stored}_wide" for stored in parts], [name]))
    rest = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*widening, *rest])
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))


def choose_levels(
    kernel: Floats, hessian: Doubles, *, most: int
) -> tuple[NDArray[np.int8], NDArray[np.float16]]:
    """Return a kernel as whole numbers of steps, and the step of each channel.

    kernel: (channels, K); hessian: (K, K), the sum of the products of its inputs.  most: the
    largest number.  Each weight's error is made up for by the weights after it.
    """
    largest = np.maximum(np.abs(kernel).max(axis=1), np.finfo(np.float16).tiny * most)
    candidates = (_CLIPS[:, np.newaxis] * largest / most).astype(np.float16).astype(np.float64)
    errors = [
        ((kernel - step * np.clip(np.rint(kernel / step), -most, most)) ** 2).sum(axis=1)
        for step in candidates[..., np.newaxis]
    ]
    steps = np.take_along_axis(candidates, np.argmin(errors, axis=0)[np.newaxis], axis=0)[0]
    damped = hessian + np.eye(len(hessian)) * max(DAMPING * hessian.diagonal().mean(), 1e-12)
    after = np.linalg.cholesky(np.linalg.inv(damped)).T
    left = kernel.astype(np.float64)
    levels = np.empty(kernel.shape, np.int8)
    for place, row in enumerate(after):
        levels[:, place] = np.clip(np.rint(left[:, place] / steps), -most, most)
        error = (left[:, place] - levels[:, place] * steps) / row[place]
        left[:, place:] -= np.outer(error, row[place:])
    return levels, steps.astype(np.float16)


def _is_plain(node: Proto) -> bool:
    given = {each.name: helper.get_attribute_value(each) for each in node.attribute}
    return all(given.get(name, value) == value for name, value in _PLAIN_CONVOLUTION.items())


def _measure_hessians(
    content: bytes, nodes: Sequence[Proto], kernels: Mapping[str, Floats], inputs: Floats
) -> dict[str, Doubles]:
    """Return, by the kernels' names, the sum of the products of each kernel's inputs."""
    model = onnx.load_from_string(content)
    names = list(dict.fromkeys(node.input[0] for node in nodes))
    del model.graph.output[:]
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    session = onnx_network.open_small(model.SerializeToString())
    sums: dict[str, Doubles] = {}
    for example in inputs:
        values = session.run(names, {session.get_inputs()[0].name: example[np.newaxis]})
        for node in nodes:
            kernel = kernels[node.input[1]]
            seen = _cut_windows(values[names.index(node.input[0])], node, kernel.shape[2:])
            sums[node.input[1]] = sums.get(node.input[1], 0) + seen.T @ seen
    return sums


def _cut_windows(picture: Floats, node: Proto, size: tuple[int, ...]) -> Doubles:
    """Return the windows that a convolution multiplies: (windows, K)."""
    given = {each.name: helper.get_attribute_value(each) for each in node.attribute}
    top, left, bottom, right = given.get("pads", (0, 0, 0, 0))
    down, across = given.get("strides", (1, 1))
    padded = np.pad(picture[0], ((0, 0), (top, bottom), (left, right)))
    windows = sliding_window_view(padded, size, axis=(1, 2))[:, ::down, ::across]
    return windows.transpose(1, 2, 0, 3, 4).reshape(-1, picture.shape[1] * np.prod(size)) * 1.0


if __name__ == "__main__":
    network, examples, count, out = sys.argv[1:]
    rounded = round_kernels(Path(network).read_bytes(), np.load(examples), bits=int(count))
    Path(out).write_bytes(rounded)
