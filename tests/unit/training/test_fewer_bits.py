"""Rounding the kernels of a network to few levels."""

from itertools import pairwise

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from smart_filter_training.fewer_bits import choose_levels, round_kernels
from smart_filter_workers.networks.runtimes import onnx_network
from smart_filter_workers.results import Floats

BITS = 4


def a_kernel(outputs: int, inputs: int) -> Floats:
    rng = np.random.default_rng(outputs)
    return rng.normal(0, 0.1, (outputs, inputs, 3, 3)).astype(np.float32)


def a_network(kernels: list[Floats]) -> bytes:
    """Return a network of convolutions in a row."""
    names = ["picture", *(f"value{number}" for number in range(len(kernels)))]
    nodes = [
        helper.make_node(
            "Conv", [given, f"kernel{n}"], [made], pads=[1, 1, 1, 1], strides=[1 + n, 1 + n]
        )
        for n, (given, made) in enumerate(pairwise(names))
    ]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, channels, None, None])
        for name, channels in ((names[0], kernels[0].shape[1]), (names[-1], len(kernels[-1])))
    ]
    stored = [numpy_helper.from_array(kernel, f"kernel{n}") for n, kernel in enumerate(kernels)]
    graph = helper.make_graph(nodes, "two", [ends[0]], [ends[1]], stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    content: bytes = model.SerializeToString()
    return content


def examples() -> Floats:
    """Return pictures whose neighboring channels and pixels are alike, as in photos."""
    noise = np.random.default_rng(0).normal(size=(6, 16, 24, 24)).cumsum(axis=1).cumsum(axis=3)
    return noise.astype(np.float32)


def run(content: bytes, picture: Floats) -> Floats:
    (answer,) = onnx_network.open_small(content).run(None, {"picture": picture[np.newaxis]})
    values: Floats = answer
    return values


def test_rounded_network_has_few_levels_and_answers_alike() -> None:
    content = a_network([a_kernel(16, 16), a_kernel(8, 16)])

    rounded = round_kernels(content, examples()[:5], bits=BITS)

    stored = {
        part.name: numpy_helper.to_array(part)
        for part in onnx.load_from_string(rounded).graph.initializer
    }
    for name in ("kernel0_levels", "kernel1_levels"):
        assert stored[name].dtype == np.int8
        assert len(np.unique(stored[name])) <= 2**BITS - 1
    before, after = (run(each, examples()[5]) for each in (content, rounded))
    assert np.abs(before - after).mean() < 0.1 * np.abs(before).mean()


def test_later_weights_make_up_for_the_errors_of_earlier_ones() -> None:
    seen = examples().transpose(0, 2, 3, 1).reshape(-1, 16).astype(np.float64)
    kernel = a_kernel(8, 16)[..., 0, 0]

    errors = []
    for hessian in (np.eye(16), seen.T @ seen):
        levels, steps = choose_levels(kernel, hessian, most=7)
        errors.append(np.abs(seen @ (kernel - levels * steps[:, np.newaxis]).T).mean())

    assert errors[1] < 0.7 * errors[0]


@pytest.mark.parametrize("kernel", [np.zeros((8, 16, 3, 3), np.float32), a_kernel(2, 16)])
def test_empty_and_small_kernels_keep_their_answers(kernel: Floats) -> None:
    content = a_network([kernel])

    rounded = round_kernels(content, examples()[:1], bits=BITS)

    assert np.allclose(run(content, examples()[5]), run(rounded, examples()[5]))
