"""Build U-shaped networks that say which pixels are people, and their loss.

Three start with random weights; two start with those of a LiteRT file. Each takes (N, S, S, 3)
float32 of 0..1, sRGB, and answers (N, S, S, 1) logits. Importing this module imports Keras.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import keras
import numpy as np

from smart_filter_shared.errors import SetupFailed
from smart_filter_workers.results import Floats

# Keras ships no types.
Tensor = Any
Network = Any
Layer = Callable[[Tensor], Tensor]

# Each resolution is half of the previous one.
DEPTH: Final = 4
MULTIPLE_PX: Final = 16
_EXPANSION: Final = 4

# Edges weigh more by this factor, within this distance of the outline: they decide the quality.
EDGE_WEIGHT: Final = 2.0
EDGE_PX: Final = 7
# Keeps the Dice of a nearly empty picture smooth; in pixels.
_SMOOTH_PX: Final = 50.0

_FLOAT32, _FLOAT16 = 0, 1  # TensorType of the LiteRT format
_SAME: Final = 0  # Padding of the LiteRT format
_ONE_INPUT: Final[Mapping[str, Callable[[], Layer]]] = {
    "HARD_SWISH": lambda: keras.layers.Activation("hard_swish"),
    "RELU": keras.layers.ReLU,
    "LOGISTIC": lambda: keras.layers.Activation("sigmoid"),
    # These networks average over the whole picture, and enlarge by two.
    "AVERAGE_POOL_2D": lambda: keras.layers.GlobalAveragePooling2D(keepdims=True),
    "MEAN": lambda: keras.layers.GlobalAveragePooling2D(keepdims=True),
    "RESIZE_BILINEAR": lambda: keras.layers.UpSampling2D(interpolation="bilinear"),
}
_TWO_INPUTS: Final[Mapping[str, Callable[[], Layer]]] = {
    "ADD": keras.layers.Add,
    "MUL": keras.layers.Multiply,
}
# The name of mediapipe's own operation, a transposed convolution with a bias.
_TRANSPOSED: Final = "Convolution2DTransposeBias"


def build(kind: str, *, size_px: int, width: int) -> Network:
    """Return an untrained network: "classic", "residual" or "mobile".

    width: channels of the finest resolution; each coarser one has twice as many, at most eight
    times.  size_px: a multiple of 16.
    """
    block = BLOCKS[kind]
    picture = keras.Input((size_px, size_px, 3), name="picture")
    # Halved once: the product's edge refinement, after the network, works at full size.
    values = _add_convolution(picture, width, kernel=3, strides=2)
    skipped = []
    for level in range(DEPTH):
        values = block(values, width * 2 ** min(level, 3))
        if level < DEPTH - 1:
            skipped.append(values)
            values = keras.layers.MaxPooling2D()(values)
    for level, across in reversed(list(enumerate(skipped))):
        channels = width * 2 ** min(level, 3)
        values = keras.layers.UpSampling2D(interpolation="bilinear")(values)
        values = _add_convolution(values, channels, kernel=1)
        values = block(keras.layers.Concatenate()([values, across]), channels)
    logits = keras.layers.Conv2DTranspose(1, 2, strides=2, name="logits")(values)
    return keras.Model(picture, logits, name=kind)


def grow(network: Network) -> Network:
    """Return a carried network with more layers at coarse resolutions.

    These layers decide what belongs to a person. They read the encoder's and the decoder's maps,
    and add logits of a quarter of the side; these are 0 at first, so that the network starts with
    the answers of the carried one.
    """
    coarse, middle, fine = _find_maps(network)
    values = _add_plain(_add_plain(coarse, 64, kernel=1), 64, kernel=3)
    values = keras.layers.Add()([values, _add_plain(values, 64, kernel=5, separable=True)])
    values = keras.layers.Add()([values, _add_plain(values, 64, kernel=3)])
    values = keras.layers.UpSampling2D(interpolation="bilinear")(_add_plain(values, 32, kernel=1))
    values = _add_plain(keras.layers.Concatenate()([values, *middle]), 48, kernel=1)
    values = keras.layers.Add()([values, _add_plain(values, 48, kernel=3)])
    values = keras.layers.Add()([values, _add_plain(values, 48, kernel=3)])
    values = keras.layers.UpSampling2D(interpolation="bilinear")(_add_plain(values, 24, kernel=1))
    values = _add_plain(keras.layers.Concatenate()([values, *fine]), 32, kernel=3, separable=True)
    values = keras.layers.Add()([values, _add_plain(values, 32, kernel=3, separable=True)])
    more = keras.layers.Conv2DTranspose(1, 4, strides=4, kernel_initializer="zeros")(values)
    logits = keras.layers.Add(name="logits")([network.output, more])
    return keras.Model(network.input, logits, name="grown")


def convert_litert(path: Path, *, side_px: int) -> Network:
    """Return the network of a LiteRT file as a Keras network that can be trained further.

    A network that learned from many people is a better start than any that some thousands of
    photos can train from random weights.  Weights in half precision are widened.
    path: a LiteRT file with one input, (1, h, w, 3), and one output after a sigmoid; the result
    answers logits.  side_px: of the new input, a multiple of MULTIPLE_PX.
    Raises SetupFailed when the file is missing, or has an unknown operation.
    """
    graph = _Graph(path)
    picture = keras.Input((side_px, side_px, 3), name="picture")
    values: dict[int, Tensor] = {graph.input: picture}
    weighted: list[tuple[Any, list[Floats]]] = []
    for operation in graph.operations[:-1]:
        name, inputs, output = graph.name(operation), list(operation.inputs), operation.outputs[0]
        if name == "DEQUANTIZE":
            graph.widen(inputs[0], output)
            continue
        sources = [values[number] for number in inputs if number in values]
        if name in _ONE_INPUT:
            values[output] = _ONE_INPUT[name]()(sources[0])
        elif name in _TWO_INPUTS:
            values[output] = _TWO_INPUTS[name]()(sources)
        else:
            layer, kernel = _to_convolution(name, operation, graph.constant(inputs[1]))
            values[output] = layer(sources[0])
            weighted.append((layer, [kernel, graph.constant(inputs[2])]))
    if graph.name(graph.operations[-1]) != "LOGISTIC":
        raise SetupFailed(f"{path} does not end in a sigmoid")
    network = keras.Model(picture, values[graph.operations[-1].inputs[0]], name="carried")
    for layer, weights in weighted:
        layer.set_weights(weights)
    return network


# A compiled network is saved with the names of its loss and metrics.
@keras.saving.register_keras_serializable(package="smart_filter")
class MatteLoss(keras.losses.Loss):  # type: ignore[misc]  # keras ships no types
    """Binary cross-entropy plus Dice, of logits, weighted by pixel.

    Source: Milletari, Navab & Ahmadi 2016, "V-Net", equation for Dice, here by union (Jaccard),
    as figures have it; Ronneberger, Fischer & Brox 2015, "U-Net", section 3, for
    more weight near edges.
    """

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Return the mean loss.

        y_true: (N, H, W, 2) float32: the matte, 0..1, and the weight of each pixel, 0..1;
        y_pred: (N, H, W, 1) logits.
        """
        matte, counts = y_true[..., :1], y_true[..., 1:]
        logits = keras.ops.cast(y_pred, "float32")
        weight = counts * (1 + EDGE_WEIGHT * _edges(matte))
        # log(1 + exp(-|z|)) does not overflow.
        entropy = (
            keras.ops.relu(logits)
            - logits * matte
            + keras.ops.softplus(-keras.ops.absolute(logits))
        )
        mean_entropy = keras.ops.sum(weight * entropy) / keras.ops.maximum(
            keras.ops.sum(weight), 1.0
        )
        return (
            mean_entropy
            + 1
            - keras.ops.mean(soft_overlap(matte, counts, keras.ops.sigmoid(logits)))
        )


def soft_overlap(matte: Tensor, counts: Tensor, person: Tensor) -> Tensor:
    """Return the intersection over union, (N,) float32, of two soft mattes (N, H, W, 1), 0..1."""
    both = keras.ops.sum(counts * person * matte, axis=(1, 2, 3))
    either = keras.ops.sum(counts * (person + matte - person * matte), axis=(1, 2, 3))
    return (both + _SMOOTH_PX) / (either + _SMOOTH_PX)


@keras.saving.register_keras_serializable(package="smart_filter")
class Overlap(keras.metrics.Mean):  # type: ignore[misc]  # keras ships no types
    """The mean intersection over union at a threshold of one half, for curves."""

    def __init__(self, name: str = "iou", dtype: str | None = None) -> None:
        super().__init__(name=name, dtype=dtype)

    def update_state(self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor = None) -> None:
        """Add a batch in the shape of the loss."""
        person = keras.ops.cast(y_true[..., :1] > 1 / 2, "float32")
        is_person = keras.ops.cast(y_pred > 0, "float32")
        super().update_state(soft_overlap(person, y_true[..., 1:], is_person), sample_weight)


def _edges(matte: Tensor) -> Tensor:
    """Return (N, H, W, 1) float32, 0..1: the change of a matte within EDGE_PX of each pixel."""
    most = keras.ops.max_pool(matte, EDGE_PX, strides=1, padding="same")
    least = -keras.ops.max_pool(-matte, EDGE_PX, strides=1, padding="same")
    return most - least


def _add_classic(values: Tensor, channels: int) -> Tensor:
    """Add two convolutions.  Source: Ronneberger, Fischer & Brox 2015, "U-Net", figure 1."""
    return _add_convolution(_add_convolution(values, channels, kernel=3), channels, kernel=3)


def _add_residual(values: Tensor, channels: int) -> Tensor:
    """Add two convolutions and a shortcut.

    Source: Zhang, Liu & Wang 2018, "Road extraction by deep residual U-Net", figure 1.
    """
    shortcut = keras.layers.Conv2D(channels, 1, use_bias=False)(values)
    residual = _add_convolution(values, channels, kernel=3)
    residual = keras.layers.Conv2D(channels, 3, padding="same", use_bias=False)(residual)
    residual = _normalize(residual)
    return keras.layers.ReLU()(keras.layers.Add()([shortcut, residual]))


def _add_mobile(values: Tensor, channels: int) -> Tensor:
    """Add two inverted bottlenecks.

    Source: Sandler et al. 2018, "MobileNetV2", table 1; here with hard swish as in Howard et al.
    2019, "Searching for MobileNetV3", section 5.2.
    """
    return _add_bottleneck(_add_bottleneck(values, channels), channels)


BLOCKS: Final[Mapping[str, Callable[[Tensor, int], Tensor]]] = {
    "classic": _add_classic,
    "residual": _add_residual,
    "mobile": _add_mobile,
}


def _add_bottleneck(values: Tensor, channels: int) -> Tensor:
    wide = _add_convolution(values, _EXPANSION * channels, kernel=1, activation="hard_swish")
    wide = keras.layers.DepthwiseConv2D(3, padding="same", use_bias=False)(wide)
    wide = keras.layers.Activation("hard_swish")(_normalize(wide))
    narrow = _normalize(keras.layers.Conv2D(channels, 1, use_bias=False)(wide))
    if values.shape[-1] != channels:
        return narrow
    return keras.layers.Add()([values, narrow])


def _find_maps(network: Network) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    """Return the maps of a network at a sixteenth, an eighth and a quarter of the side.

    The last one of the sixteenth; for the others, the last of the encoder and of the decoder.
    """
    side = int(network.input_shape[1])
    maps = [layer.output for layer in network.layers]
    places = {
        size: [n for n, map_ in enumerate(maps) if map_.shape[1] == size]
        for size in (side // 16, side // 8, side // 4)
    }
    bottom = places[side // 16][0]
    both_ways = [
        [
            maps[max(n for n in places[size] if n < bottom)],
            maps[max(places[size])],
        ]
        for size in (side // 8, side // 4)
    ]
    return maps[places[side // 16][-1]], both_ways[0], both_ways[1]


def _add_plain(values: Tensor, channels: int, *, kernel: int, separable: bool = False) -> Tensor:
    """Add a convolution with a bias, as carried networks have it."""
    kind = keras.layers.SeparableConv2D if separable else keras.layers.Conv2D
    return kind(channels, kernel, padding="same", activation="relu")(values)


def _add_convolution(
    values: Tensor, channels: int, *, kernel: int, strides: int = 1, activation: str = "relu"
) -> Tensor:
    convolution = keras.layers.Conv2D(
        channels, kernel, strides=strides, padding="same", use_bias=False
    )
    return keras.layers.Activation(activation)(_normalize(convolution(values)))


def _normalize(values: Tensor) -> Tensor:
    return keras.layers.BatchNormalization(momentum=0.95)(values)


def _to_convolution(name: str, operation: Any, stored: Floats) -> tuple[Any, Floats]:  # noqa: ANN401
    """Return a layer, and its kernel in the order of Keras."""
    size = stored.shape[1:3]
    options = operation.builtinOptions
    if name == _TRANSPOSED:
        layer = keras.layers.Conv2DTranspose(stored.shape[0], size, strides=size)
        return layer, stored.transpose(1, 2, 0, 3)
    if name not in {"CONV_2D", "DEPTHWISE_CONV_2D"} or options.fusedActivationFunction:
        raise SetupFailed(f"the operation {name} with its options in this file is unknown")
    options_by_name = {
        "strides": (options.strideH, options.strideW),
        "padding": "same" if options.padding == _SAME else "valid",
    }
    if name == "CONV_2D":
        return keras.layers.Conv2D(stored.shape[0], size, **options_by_name), stored.transpose(
            1, 2, 3, 0
        )
    return keras.layers.DepthwiseConv2D(size, **options_by_name), stored.transpose(1, 2, 3, 0)


class _Graph:
    """The operations of a LiteRT file, in order, and their constants."""

    def __init__(self, path: Path) -> None:
        from ai_edge_litert import schema_py_generated as schema  # noqa: PLC0415 - only to train

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
        """Return the name of an operation."""
        code = self._model.operatorCodes[operation.opcodeIndex]
        if code.customCode:
            return str(code.customCode, "utf-8")
        return str(self._names[max(code.builtinCode, code.deprecatedBuiltinCode)])

    def widen(self, source: int, target: int) -> None:
        """Store the full-precision form of a tensor."""
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
        values = np.frombuffer(bytes(stored), kind).reshape(tensor.shape)
        return np.ascontiguousarray(values, dtype=np.float32)
