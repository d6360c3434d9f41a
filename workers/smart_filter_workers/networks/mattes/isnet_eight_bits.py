"""Convert IS-Net to eight bits: less processor time, least where a processor has VNNI.

The ranges of the network's activations are in `isnet_ranges.json`, so the conversion looks at no
photo and gives the same network on every machine. `benchmarks.isnet_ranges` measured them.

Source: Jacob et al. 2018, "Quantization and training of neural networks for efficient
integer-arithmetic-only inference", equation 1: affine, unsigned for activations; signed and one
scale a channel for weights.
"""

import json
from collections.abc import Mapping
from importlib import resources
from typing import Any, Final

import numpy as np

from smart_filter_workers.networks.runtimes import onnx_runtime

RANGES_FILE: Final = "isnet_ranges.json"
OPERATORS: Final = ("Conv", "Relu", "MaxPool", "Concat", "Resize")
# The stage that draws the outline, and the layer that reads it, stay in single precision. With them
# in eight bits the IoU with the whole network in single precision is 0.968 instead of 0.996, on 8
# photos at 768 px.
SINGLE_PRECISION: Final = ("/stage1d/", "/side1/")


def quantize(content: bytes, ranges: Mapping[str, tuple[float, float]] | None = None) -> bytes:
    """Return a network in eight bits, its last stage in single precision.

    content: what `isnet.widen` returns.  ranges: the lowest and highest value of each activation by
    its name; None: those of IS-Net.
    """
    import onnx  # noqa: PLC0415 - reading model cards loads no framework

    measured = read_ranges() if ranges is None else ranges
    library = onnx_runtime.load_quantization()
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
    file = resources.files("smart_filter_workers.networks.mattes").joinpath(RANGES_FILE)
    return {name: (low, high) for name, (low, high) in json.loads(file.read_text()).items()}


# Any: a class of a library without types.
def _range(library: Any, low: float, high: float) -> Any:  # noqa: ANN401
    return library.calibrate.TensorData(lowest=np.float32(low), highest=np.float32(high))
