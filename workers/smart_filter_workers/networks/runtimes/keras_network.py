"""A segmentation network saved by Keras 3, read as data: layers by name, weights as numbers.

A `.keras` file is a zip of a JSON that names the classes to build, and an HDF5 of weights. Keras
builds what the JSON names, and its safe mode has let functions through more than once
(CVE-2025-1550, CVE-2025-8747, CVE-2025-12058). So every name is checked here first: only layers
that compute are allowed, none that read a file, fetch one or hold code.
"""

import contextlib
import io
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np

from smart_filter_shared import documents
from smart_filter_shared.errors import SetupFailed
from smart_filter_workers.networks.runtimes import network_input
from smart_filter_workers.networks.runtimes.network_input import ConfiguredNetwork, Layout
from smart_filter_workers.results import Floats
from smart_filter_workers.weights.allowlist import AdmittedFile

CONFIG_FILE: Final = "config.json"
WEIGHTS_FILE: Final = "model.weights.h5"
METADATA_FILE: Final = "metadata.json"
MAX_CONFIG_BYTES: Final = 8_000_000
MAX_WEIGHTS_BYTES: Final = 2_000_000_000
# Layers that a network may consist of.
LAYER_CLASSES: Final = frozenset(
    "Activation Add Average AveragePooling2D BatchNormalization CenterCrop Concatenate Conv2D"
    " Conv2DTranspose Cropping2D Dense DepthwiseConv2D Dropout ELU Flatten GaussianNoise"
    " GlobalAveragePooling2D GlobalMaxPooling2D GroupNormalization InputLayer LayerNormalization"
    " LeakyReLU MaxPooling2D Maximum Minimum Multiply PReLU ReLU Rescaling Reshape Resizing"
    " SeparableConv2D Softmax SpatialDropout2D Subtract UpSampling2D ZeroPadding2D".split()
)
_MODEL_CLASSES: Final = frozenset(("Functional", "Sequential"))
_VALUE_CLASSES: Final = frozenset(("DTypePolicy", "KerasTensor"))
# Classes that only make, weigh or bound numbers; their modules also hold functions.
_INITIALIZERS: Final = frozenset(
    "Constant GlorotNormal GlorotUniform HeNormal HeUniform Identity IdentityInitializer"
    " LecunNormal LecunUniform Ones Orthogonal OrthogonalInitializer RandomNormal RandomUniform"
    " TruncatedNormal VarianceScaling Zeros".split()
)
_REGULARIZERS: Final = frozenset(("L1", "L1L2", "L2", "OrthogonalRegularizer"))
_CONSTRAINTS: Final = frozenset(("MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm"))
ALLOWED_CLASSES: Final[Mapping[str, frozenset[str]]] = {
    "keras": _MODEL_CLASSES | _VALUE_CLASSES,
    "keras.models": _MODEL_CLASSES,
    "keras.src.models.functional": _MODEL_CLASSES,
    "keras.src.models.sequential": _MODEL_CLASSES,
    "keras.layers": LAYER_CLASSES,
    "keras.initializers": _INITIALIZERS,
    "keras.regularizers": _REGULARIZERS,
    "keras.constraints": _CONSTRAINTS,
    # The notation of a tuple, and of a layer's input tensor.
    "None": frozenset(("__tuple__", "__keras_tensor__")),
}


class KerasNetwork:
    """A network, callable from any thread.

    content: the file's bytes, whose digest was checked.
    Raises SetupFailed when it does not load, or takes anything but one picture.
    """

    def __init__(self, content: bytes) -> None:
        check(content)
        _limit_resources()
        # Import here, so that reading model cards loads no framework.
        import keras  # noqa: PLC0415

        # Keras loads from a path only.
        with tempfile.NamedTemporaryFile(suffix=".keras") as file:
            file.write(content)
            file.flush()
            try:
                self._model = keras.saving.load_model(file.name, compile=False, safe_mode=True)
            except Exception as error:
                # Keras raises any error that its layers raise.
                raise SetupFailed(f"Keras does not load the network: {error}") from error
        shape = self._model.input_shape
        if not isinstance(shape, tuple) or len(shape) != 4 or shape[3] != 3:  # noqa: PLR2004 - NHWC, RGB
            raise SetupFailed(f"the network takes {shape}, expected batch, height, width and 3")
        self.size: tuple[int | None, int | None] = (shape[2], shape[1])

    def __call__(self, picture: Floats) -> list[Floats]:
        """Return the one output, (1, h, w, C) float32, for a picture, (1, H, W, 3) float32."""
        return [np.asarray(self._model(picture, training=False), dtype=np.float32)]


def _limit_resources() -> None:
    """Limit TensorFlow to one core for each call, and to the GPU memory that it needs.

    By default it takes a thread for every core, although the worker's own threads share the cores,
    and all memory of every GPU, where torch's models also are. After its first use neither can
    change.
    """
    import tensorflow as tf  # noqa: PLC0415 - reading model cards loads no framework

    with contextlib.suppress(RuntimeError):
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        for gpu in tf.config.list_physical_devices("GPU"):
            tf.config.experimental.set_memory_growth(gpu, enable=True)


def open_network(content: bytes, file: AdmittedFile) -> ConfiguredNetwork:
    """Open an admitted file; its handling has the network's own size if it has one, channels last.

    content: the file's bytes, whose digest was checked.
    Raises SetupFailed when the file does not load, its entry is invalid, or no size is known.
    """
    network = KerasNetwork(content)
    given = {"layout": Layout.NHWC, **file.handling}
    sides = zip(("width", "height"), network.size, strict=True)
    given |= {name: side for name, side in sides if side is not None}
    return ConfiguredNetwork(network, network_input.for_file(file, given))


def check(content: bytes) -> None:
    """Refuse a file that is not a Keras 3 network, or that names anything but plain layers.

    Raises SetupFailed.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            sizes = {member.filename: member.file_size for member in archive.infolist()}
            if sizes.keys() != {CONFIG_FILE, WEIGHTS_FILE, METADATA_FILE}:
                raise SetupFailed(f"this is not a plain Keras 3 file: it holds {sorted(sizes)}")
            if sizes[CONFIG_FILE] > MAX_CONFIG_BYTES or sizes[WEIGHTS_FILE] > MAX_WEIGHTS_BYTES:
                raise SetupFailed("this Keras file unpacks to more than a network needs")
            config: dict[str, object] = dict(documents.parse_json(archive.read(CONFIG_FILE)))
            weights = archive.read(WEIGHTS_FILE)
    except (zipfile.BadZipFile, ValueError, TypeError, KeyError, RuntimeError) as error:
        raise SetupFailed(f"this is not a Keras 3 file: {error}") from error
    # Ignore how it was trained: Keras loads it with compile=False.
    config.pop("compile_config", None)
    for module, name in _classes(config):
        if name not in ALLOWED_CLASSES.get(module, frozenset()):
            raise SetupFailed(f"{module}.{name} is not an allowed layer")
    _check_weights(weights)


def _classes(node: Any) -> Iterator[tuple[str, str]]:  # noqa: ANN401 - JSON
    """Yield module and name of every class that Keras would build from a configuration."""
    if isinstance(node, Mapping):
        if "class_name" in node:
            yield str(node.get("module")), str(node["class_name"])
        for value in node.values():
            yield from _classes(value)
    elif isinstance(node, list):
        for value in node:
            yield from _classes(value)


def _check_weights(content: bytes) -> None:
    """Refuse an HDF5 whose numbers are in other files.

    Raises SetupFailed.
    """
    # h5py comes with Keras, and without Keras nothing can be loaded.
    import h5py  # noqa: PLC0415

    def look(group: Any) -> None:  # noqa: ANN401 - h5py ships no types
        for name in group:
            if isinstance(group.get(name, getlink=True), h5py.ExternalLink):
                raise SetupFailed(f"weights {name!r} are in another file")
            item = group[name]
            if isinstance(item, h5py.Group):
                look(item)
            elif item.external or item.is_virtual:
                raise SetupFailed(f"weights {name!r} are in another file")

    try:
        with h5py.File(io.BytesIO(content), "r") as file:
            look(file)
    except (OSError, KeyError, RecursionError) as error:
        raise SetupFailed(f"the weights of this Keras file cannot be read: {error}") from error
