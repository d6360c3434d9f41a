"""A LiteRT network of convolutions as a Keras one that can be trained further.

What a small network learnt from many people is worth more than anything that a few thousand
photos teach a new one, so that is where training begins. Weights that were stored in half
precision are widened; operations that networks of this kind are made of are known, any other
one is told by its name.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import keras
import numpy as np
from numpy.typing import NDArray

from smart_filter_shared.errors import SetupFailed

Tensor = Any  # keras ships no types
Network = Any  # keras ships no types
Floats = NDArray[np.float32]
Layer = Callable[[Tensor], Tensor]

_FLOAT32, _FLOAT16 = 0, 1  # of the file format's TensorType
_SAME: Final = 0  # of the file format's Padding
_ONE_INPUT: Final[Mapping[str, Callable[[], Layer]]] = {
    "HARD_SWISH": lambda: keras.layers.Activation("hard_swish"),
    "RELU": keras.layers.ReLU,
    "LOGISTIC": lambda: keras.layers.Activation("sigmoid"),
    # These networks average over all there is, and only enlarge by two.
    "AVERAGE_POOL_2D": lambda: keras.layers.GlobalAveragePooling2D(keepdims=True),
    "MEAN": lambda: keras.layers.GlobalAveragePooling2D(keepdims=True),
    "RESIZE_BILINEAR": lambda: keras.layers.UpSampling2D(interpolation="bilinear"),
}
_TWO_INPUTS: Final[Mapping[str, Callable[[], Layer]]] = {
    "ADD": keras.layers.Add,
    "MUL": keras.layers.Multiply,
}
# How an operation of the package mediapipe is written: a transposed convolution with a bias.
_ENLARGING: Final = b"Convolution2DTransposeBias"


def carried(path: Path, *, width: int, height: int) -> Network:
    """Return the network of a file, for pictures of a size, whose answer is logits.

    path: a LiteRT file with one input, (1, h, w, 3), and one answer behind a sigmoid.  width,
    height: multiples of what the network halves its input to; they need not be the file's.
    Raises SetupFailed when the file is missing, or has an operation that is not known.
    """
    graph = _Graph(path)
    picture = keras.Input((height, width, 3), name="picture")
    values: dict[int, Tensor] = {graph.input: picture}
    learnt: list[tuple[Any, list[Floats]]] = []
    for operation in graph.operations[:-1]:
        name, inputs, output = graph.name(operation), list(operation.inputs), operation.outputs[0]
        if name == "DEQUANTIZE":
            graph.widen(inputs[0], output)
            continue
        came = [values[number] for number in inputs if number in values]
        if name in _ONE_INPUT:
            values[output] = _ONE_INPUT[name]()(came[0])
        elif name in _TWO_INPUTS:
            values[output] = _TWO_INPUTS[name]()(came)
        else:
            layer, kernel = _convolution(name, operation, graph.constant(inputs[1]))
            values[output] = layer(came[0])
            learnt.append((layer, [kernel, graph.constant(inputs[2])]))
    if graph.name(graph.operations[-1]) != "LOGISTIC":
        raise SetupFailed(f"{path} does not end in a sigmoid")
    network = keras.Model(picture, values[graph.operations[-1].inputs[0]], name="carried")
    for layer, weights in learnt:
        layer.set_weights(weights)
    return network


def _convolution(name: str, operation: Any, stored: Floats) -> tuple[Any, Floats]:  # noqa: ANN401
    """Return a layer, and its kernel as Keras keeps it."""
    size = stored.shape[1:3]
    options = operation.builtinOptions
    if name == _ENLARGING.decode():
        layer = keras.layers.Conv2DTranspose(stored.shape[0], size, strides=size)
        return layer, stored.transpose(1, 2, 0, 3)
    if name not in {"CONV_2D", "DEPTHWISE_CONV_2D"} or options.fusedActivationFunction:
        raise SetupFailed(f"the operation {name}, as it stands in the file, is not known")
    how = {
        "strides": (options.strideH, options.strideW),
        "padding": "same" if options.padding == _SAME else "valid",
    }
    if name == "CONV_2D":
        return keras.layers.Conv2D(stored.shape[0], size, **how), stored.transpose(1, 2, 3, 0)
    return keras.layers.DepthwiseConv2D(size, **how), stored.transpose(1, 2, 3, 0)


class _Graph:
    """The operations of a file, in order, and the numbers that they are made with."""

    def __init__(self, path: Path) -> None:
        # Only who trains has it; it ships no types.
        from ai_edge_litert import schema_py_generated as schema  # noqa: PLC0415

        try:
            content = path.read_bytes()
        except OSError as error:
            raise SetupFailed(f"{path}: {error}; run `smart-filter models pull`") from error
        self._model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
        self._graph = self._model.subgraphs[0]
        codes = vars(schema.BuiltinOperator).items()
        self._names = {code: name for name, code in codes if isinstance(code, int)}
        self._widened: dict[int, Floats] = {}
        self.input = int(self._graph.inputs[0])
        self.operations = list(self._graph.operators)

    def name(self, operation: Any) -> str:  # noqa: ANN401 - the schema ships no types
        """Return what an operation is called."""
        code = self._model.operatorCodes[operation.opcodeIndex]
        if code.customCode:
            return str(code.customCode, "utf-8")
        return str(self._names[max(code.builtinCode, code.deprecatedBuiltinCode)])

    def widen(self, source: int, target: int) -> None:
        """Take down what a stored tensor is in full precision."""
        self._widened[int(target)] = self.constant(source)

    def constant(self, number: int) -> Floats:
        """Return a stored tensor."""
        if number in self._widened:
            return self._widened[int(number)]
        tensor = self._graph.tensors[number]
        stored = self._model.buffers[tensor.buffer].data
        if stored is None or tensor.type not in {_FLOAT32, _FLOAT16}:
            raise SetupFailed("a weight of the file is not a stored floating-point number")
        kind = np.float32 if tensor.type == _FLOAT32 else np.float16
        found = np.frombuffer(bytes(stored), kind).reshape(tensor.shape)
        return np.ascontiguousarray(found, dtype=np.float32)
