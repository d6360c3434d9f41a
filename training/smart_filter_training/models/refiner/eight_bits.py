"""Let the refiner's large convolutions calculate in eight bits: half of its processor time.

Source: Jacob et al. 2018, "Quantization and training of neural networks for efficient
integer-arithmetic-only inference".
"""

import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnx
from numpy.typing import NDArray

from smart_filter_workers.networks.runtimes import onnx_network

Floats: TypeAlias = NDArray[np.float32]
Proto: TypeAlias = Any  # protobuf has no types

# Convolutions of at least this size and number of input channels calculate in eight bits. Smaller
# ones gain no time: the values are converted before and after.
LEAST_SIZE, LEAST_CHANNELS = 3, 32


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
