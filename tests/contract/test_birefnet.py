"""BiRefNet's files: deformable convolutions as one operator, any picture, and its two files."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import NodeProto, TensorProto, helper, numpy_helper

from smart_filter_shared.catalog.model_card import WeightsFile
from smart_filter_tests.pictures import noise
from smart_filter_workers.networks.coverage import birefnet
from smart_filter_workers.networks.runtimes.onnx_network import OnnxNetwork

SIDE_PX = 24
CHANNELS = 3
SCOPE = "/decoder/aspp1/atrous_conv/"
# Sampling between pixels, in single precision, with values of about 1.
ROUNDING = 1e-4


def a_network(side_px: int = SIDE_PX, *, scope: str = SCOPE) -> bytes:
    """Return a network of random weights that gives logits.

    Its one deformable convolution is spelled out: each of the 3 × 3 places is sampled by itself.
    """
    random = np.random.default_rng(7)
    rows, columns = np.mgrid[0:side_px, 0:side_px].astype(np.float32)
    constants = {
        "offset_weights": random.normal(0, 0.3, (18, CHANNELS, 3, 3)),
        "mask_weights": random.normal(0, 0.3, (9, CHANNELS, 3, 3)),
        "weights": random.normal(0, 0.3, (1, CHANNELS, 3, 3)),
        "two": np.array(2),
        # From pixels to the range of GridSample, -1 to 1 at the outer pixels' middles.
        "scale": np.array(2 / (side_px - 1)),
        "one": np.array(1),
    }
    nodes = [
        _node("Conv", ["picture", "offset_weights"], scope, "offset_conv/Conv", pads=[1] * 4),
        _node("Conv", ["picture", "mask_weights"], scope, "modulator_conv/Conv", pads=[1] * 4),
        _node("Sigmoid", [f"{scope}modulator_conv/Conv"], scope, "Sigmoid"),
        _node("Mul", [f"{scope}Sigmoid", "two"], scope, "Mul"),
        _node("Split", [f"{scope}offset_conv/Conv"], scope, *(f"o{n}" for n in range(18)), axis=1),
        _node("Split", [f"{scope}Mul"], scope, *(f"m{n}" for n in range(9)), axis=1),
    ]
    for place in range(9):
        down, across = place // 3 - 1, place % 3 - 1
        constants[f"row{place}"] = rows[np.newaxis, np.newaxis] + down
        constants[f"column{place}"] = columns[np.newaxis, np.newaxis] + across
        constants[f"part{place}"] = constants["weights"][:, :, place // 3, place % 3][
            ..., None, None
        ]
        nodes += [
            _node("Add", [f"{scope}o{2 * place}", f"row{place}"], scope, f"y{place}"),
            _node("Add", [f"{scope}o{2 * place + 1}", f"column{place}"], scope, f"x{place}"),
            _node("Concat", [f"{scope}x{place}", f"{scope}y{place}"], scope, f"p{place}", axis=1),
            _node("Transpose", [f"{scope}p{place}"], scope, f"t{place}", perm=[0, 2, 3, 1]),
            _node("Mul", [f"{scope}t{place}", "scale"], scope, f"s{place}"),
            _node("Sub", [f"{scope}s{place}", "one"], scope, f"g{place}"),
            _node(
                "GridSample", ["picture", f"{scope}g{place}"], scope, f"v{place}", align_corners=1
            ),
            _node("Mul", [f"{scope}v{place}", f"{scope}m{place}"], scope, f"w{place}"),
            _node("Conv", [f"{scope}w{place}", f"part{place}"], scope, f"c{place}"),
        ]
    # Where the exporter reads the weights: a convolution of the sampled places.
    nodes += [
        _node("Conv", ["picture", "weights"], scope, "Conv", pads=[1] * 4),
        _node("Sum", [f"{scope}c{place}" for place in range(9)], scope, "Add"),
        helper.make_node("ReduceMean", ["picture"], ["level"], "/norm", axes=[1], keepdims=1),
        helper.make_node("Add", [f"{scope}Add", "level"], ["logits"], "/last"),
    ]
    size = [1, CHANNELS, side_px, side_px]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("picture", TensorProto.FLOAT, size)],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 1, side_px, side_px])],
        [
            numpy_helper.from_array(np.asarray(one, np.float32), name)
            for name, one in constants.items()
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    packed: bytes = model.SerializeToString()
    return packed


def _node(kind: str, inputs: Sequence[str], scope: str, *outputs: str, **more: object) -> NodeProto:
    names = [scope + output for output in outputs]
    return helper.make_node(kind, inputs, names, names[0], **more)


def operators(content: bytes) -> list[str]:
    return [node.op_type for node in onnx.load_model_from_string(content).graph.node]


def test_spelled_out_convolution_becomes_one_operator_and_gives_the_same() -> None:
    spelled_out = a_network()
    picture = np.random.default_rng(0).normal(size=(1, 3, SIDE_PX, SIDE_PX)).astype(np.float32)

    merged = birefnet.merge_convolutions(spelled_out)

    left = sorted(operators(merged))
    assert left == ["Add", "Conv", "Conv", "DeformConv", "Mul", "ReduceMean", "Sigmoid"]
    before, after = (OnnxNetwork(network)(picture)[0] for network in (spelled_out, merged))
    assert before.std() > 0.1
    assert np.abs(before - after).max() < ROUNDING


@pytest.mark.parametrize("scope", ["/decoder/other/", "/decoder/aspp1/"])
def test_network_in_another_form_is_left_as_it_is(scope: str) -> None:
    network = onnx.load_model_from_string(a_network(scope=scope))
    for node in network.graph.node:
        node.name = node.name.replace("Sigmoid", "Logistic")
    content = network.SerializeToString()

    assert birefnet.merge_convolutions(content) == content


def put(folder: Path, content: bytes) -> WeightsFile:
    (folder / "net.onnx").write_bytes(content)
    return WeightsFile("net.onnx", hashlib.sha256(content).hexdigest())


def test_logits_become_coverage_at_the_size_of_any_picture(tmp_path: Path) -> None:
    network = birefnet.load(tmp_path, put(tmp_path, a_network(birefnet.SIDE_PX)))

    coverage = network(noise(90, 300))

    assert coverage.shape == noise(90, 300).shape[:2]
    assert 0 <= coverage.min() < 0.5 < coverage.max() <= 1
