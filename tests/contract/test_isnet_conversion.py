"""IS-Net's file: any size, any number of pictures, single precision, eight bits."""

from collections.abc import Sequence

import numpy as np
import onnx
import pytest
from onnx import NodeProto, TensorProto, helper, numpy_helper

from smart_filter_tests.pictures import noise
from smart_filter_workers.networks.coverage import isnet
from smart_filter_workers.networks.coverage.coverage_network import CoverageNetwork
from smart_filter_workers.networks.runtimes import onnx_network
from smart_filter_workers.networks.runtimes.onnx_network import OnnxNetwork
from smart_filter_workers.results import Bytes, Floats

SIDE_PX = 128
# The name of each activation: its lowest and highest value on any picture.
RANGES = {
    "input": (-0.5, 0.5),
    "seen": (-4.0, 4.0),
    "bright": (0.0, 4.0),
    "pooled": (0.0, 4.0),
    "enlarged": (0.0, 4.0),
    "joined": (0.0, 4.0),
}
# Of 0 to 1. Half precision has 11 bits; the sigmoid is at most a quarter as steep as its input.
HALF_PRECISION = 0.005
# Three tensors in eight bits, of a range of 4, each off by half a level at most, with gain 1.
EIGHT_BITS = 0.02


def a_small_isnet() -> bytes:
    """Return a network that was traced as IS-Net was: half precision, one size, two outputs.

    Its coverage is high where red is, blurred over four pixels.
    """
    weights = np.zeros((4, 3, 2, 2), np.float16)
    weights[0, 0] = 2
    last = np.zeros((1, 8, 1, 1), np.float16)
    last[0, :1] = 2
    nodes = [
        helper.make_node("Cast", ["input"], ["input_half"], to=TensorProto.FLOAT16),
        helper.make_node(
            "Conv", ["input_half", "weights", "bias"], ["seen"], "/conv_in/Conv", strides=[2, 2]
        ),
        helper.make_node("Relu", ["seen"], ["bright"], "/stage1/Relu"),
        helper.make_node(
            "MaxPool", ["bright"], ["pooled"], "/pool/MaxPool", kernel_shape=[2, 2], strides=[2, 2]
        ),
        *_resized("pooled", "enlarged", SIDE_PX // 2, "/stage1/Resize"),
        helper.make_node("Concat", ["bright", "enlarged"], ["joined"], "/Concat", axis=1),
        helper.make_node("Conv", ["joined", "last", "offset"], ["logits"], "/side1/Conv"),
        *_resized("logits", "large", SIDE_PX, "/Resize"),
        helper.make_node("Sigmoid", ["large"], ["coverage"], "/Sigmoid"),
        helper.make_node("Cast", ["coverage"], ["output"], to=TensorProto.FLOAT),
        helper.make_node("Cast", ["logits"], ["coarse"], to=TensorProto.FLOAT),
    ]
    constants = {
        "weights": weights,
        "bias": np.zeros(4, np.float16),
        "last": last,
        "offset": np.full(1, -4, np.float16),
    }
    picture, matte = [1, 3, SIDE_PX, SIDE_PX], [1, 1, SIDE_PX, SIDE_PX]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "small",
        [value("input", TensorProto.FLOAT, picture)],
        [
            value("output", TensorProto.FLOAT, matte),
            value("coarse", TensorProto.FLOAT, [1, 1, SIDE_PX // 2, SIDE_PX // 2]),
        ],
        [numpy_helper.from_array(values, name) for name, values in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8)
    onnx.checker.check_model(model)
    packed: bytes = model.SerializeToString()
    return packed


def _resized(source: str, result: str, side_px: int, name: str) -> list[NodeProto]:
    """Return the nodes by which a traced network resizes to a size that it knows."""

    def constant(of: str, *values: int) -> NodeProto:
        tensor = numpy_helper.from_array(np.array(values, np.int64), f"{name}_{of}")
        return helper.make_node("Constant", [], [f"{name}_{of}"], f"{name}_{of}", value=tensor)

    own = [f"{name}_{of}" for of in ("shape", "zero", "two")]
    return [
        helper.make_node("Shape", [source], own[:1], f"{name}_shape"),
        constant("zero", 0),
        constant("two", 2),
        constant("size", side_px, side_px),
        helper.make_node("Slice", own, [f"{name}_count"], f"{name}_count"),
        helper.make_node(
            "Concat", [f"{name}_count", f"{name}_size"], [f"{name}_all"], f"{name}_all", axis=0
        ),
        helper.make_node("Resize", [source, "", "", f"{name}_all"], [result], name, mode="linear"),
    ]


def values(*pictures: Bytes) -> Floats:
    return isnet.FORM.scale_values(np.stack(pictures))


def run(content: bytes, seen: Floats) -> Sequence[Floats]:
    return OnnxNetwork(content)(seen)


def test_widened_network_gives_what_the_file_gives() -> None:
    seen = values(noise(SIDE_PX, SIDE_PX))

    (coverage,) = run(isnet.widen(a_small_isnet()), seen)

    assert np.abs(coverage - run(a_small_isnet(), seen)[0]).max() < HALF_PRECISION


@pytest.mark.parametrize("size", [(64, 192), (320, 256)])
def test_widened_network_takes_any_number_of_pictures_of_any_size(size: tuple[int, int]) -> None:
    content = isnet.widen(a_small_isnet())
    pictures = [noise(*size), noise(*size)[::-1]]

    (together,) = run(content, values(*pictures))

    assert together.shape == (2, 1, *size)
    for coverage, picture in zip(together, pictures, strict=True):
        assert np.allclose(coverage, run(content, values(picture))[0][0], atol=1e-5)


def test_network_in_eight_bits_keeps_its_last_stage_in_single_precision() -> None:
    widened = isnet.widen(a_small_isnet())
    seen = values(noise(SIDE_PX, SIDE_PX))

    content = isnet.quantize(widened, RANGES)

    assert isnet.quantize(widened, RANGES) == content
    tensors = {
        tensor.name: tensor for tensor in onnx.load_model_from_string(content).graph.initializer
    }
    assert tensors["weights_quantized"].data_type == TensorProto.INT8
    assert tensors["last"].data_type == TensorProto.FLOAT
    difference = np.abs(run(content, seen)[0] - run(widened, seen)[0])
    assert 0 < difference.max() < EIGHT_BITS


def test_every_range_of_isnet_is_one() -> None:
    ranges = isnet.read_ranges()

    assert len(ranges) > 300
    assert all(low < high for low, high in ranges.values())


def test_processor_looks_at_each_picture_in_its_own_proportions() -> None:
    network = CoverageNetwork(isnet.widen(a_small_isnet()), isnet.FORM, side_px=SIDE_PX)
    assert not onnx_network.has_gpu_provider()
    red = np.zeros((90, 200, 3), np.uint8)
    red[:, :100, 0] = 255
    dark = np.zeros((130, 70, 3), np.uint8)

    of_red, of_dark = network.segment_batch([red, dark], side_px=128)

    assert of_red.shape == (90, 200)
    assert of_red[45, 20] > 0.9
    assert of_red[45, 180] < 0.1
    assert of_dark.shape == (130, 70)
    assert of_dark.max() < 0.1
    assert network.segment_batch([], side_px=128) == []
