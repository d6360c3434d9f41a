"""A segmentation network saved by Keras 3, read as data: layers by name, weights by number.

A `.keras` file is a zip of a JSON that says which classes to build, and an HDF5 of weights.
Keras builds what the JSON names; its safe mode has let functions through more than once
(CVE-2025-1550, CVE-2025-8747, CVE-2025-12058). So every name is looked at here first: only
layers that compute, nothing that reads a file, fetches one or holds code.
"""

import contextlib
import io
import json
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from smart_filter_shared.errors import SetupFailed
from smart_filter_workers.admitted import Admitted
from smart_filter_workers.networks import handling
from smart_filter_workers.networks.handling import Handling, Layout

Floats = NDArray[np.float32]

CONFIG: Final = "config.json"
WEIGHTS: Final = "model.weights.h5"
METADATA: Final = "metadata.json"
MOST_CONFIG_BYTES: Final = 8_000_000
MOST_WEIGHTS_BYTES: Final = 2_000_000_000
# By module, the classes that a network may be built of.
LAYERS: Final = frozenset(
    "Activation Add Average AveragePooling2D BatchNormalization CenterCrop Concatenate Conv2D"
    " Conv2DTranspose Cropping2D Dense DepthwiseConv2D Dropout ELU Flatten GaussianNoise"
    " GlobalAveragePooling2D GlobalMaxPooling2D GroupNormalization InputLayer LayerNormalization"
    " LeakyReLU MaxPooling2D Maximum Minimum Multiply PReLU ReLU Rescaling Reshape Resizing"
    " SeparableConv2D Softmax SpatialDropout2D Subtract UpSampling2D ZeroPadding2D".split()
)
_WHOLE: Final = frozenset(("Functional", "Sequential"))
_VALUES: Final = frozenset(("DTypePolicy", "KerasTensor"))
# Classes that only make, weigh or bound numbers; beside them these modules hold functions.
_INITIALIZERS: Final = frozenset(
    "Constant GlorotNormal GlorotUniform HeNormal HeUniform Identity IdentityInitializer"
    " LecunNormal LecunUniform Ones Orthogonal OrthogonalInitializer RandomNormal RandomUniform"
    " TruncatedNormal VarianceScaling Zeros".split()
)
_REGULARIZERS: Final = frozenset(("L1", "L1L2", "L2", "OrthogonalRegularizer"))
_CONSTRAINTS: Final = frozenset(("MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm"))
ALLOWED: Final[Mapping[str, frozenset[str]]] = {
    "keras": _WHOLE | _VALUES,
    "keras.models": _WHOLE,
    "keras.src.models.functional": _WHOLE,
    "keras.src.models.sequential": _WHOLE,
    "keras.layers": LAYERS,
    "keras.initializers": _INITIALIZERS,
    "keras.regularizers": _REGULARIZERS,
    "keras.constraints": _CONSTRAINTS,
    # How a configuration writes a tuple, and what a layer is joined to.
    "None": frozenset(("__tuple__", "__keras_tensor__")),
}


class KerasNetwork:
    """A network that any thread may call.

    content: the file's bytes, whose digest was checked.
    Raises SetupFailed when it does not load, or wants anything but one picture.
    """

    def __init__(self, content: bytes) -> None:
        check(content)
        _share_the_machine()
        # Imported here, so that reading the cards of models loads no framework.
        import keras  # noqa: PLC0415

        # Keras reads from a path only.
        with tempfile.NamedTemporaryFile(suffix=".keras") as file:
            file.write(content)
            file.flush()
            try:
                self._model = keras.saving.load_model(file.name, compile=False, safe_mode=True)
            except Exception as error:
                # Keras raises whatever its layers raise.
                raise SetupFailed(f"Keras does not load the network: {error}") from error
        shape = self._model.input_shape
        if not isinstance(shape, tuple) or len(shape) != 4 or shape[3] != 3:  # noqa: PLR2004 - NHWC, RGB
            raise SetupFailed(f"the network wants {shape}, expected batch, height, width and 3")
        self.size: tuple[int | None, int | None] = (shape[2], shape[1])

    def __call__(self, picture: Floats) -> Floats:
        """Return the answer, (1, h, w, C) float32, for one picture, (1, H, W, 3) float32."""
        return np.asarray(self._model(picture, training=False), dtype=np.float32)


def _share_the_machine() -> None:
    """Keep TensorFlow to one core a call, and to as much of a GPU's memory as it uses.

    By itself it takes a thread for every core, which a worker's own threads share already, and
    all memory of every GPU, where torch's models live too. Once it is at work neither changes.
    """
    import tensorflow as tf  # noqa: PLC0415 - reading the cards of models loads no framework

    with contextlib.suppress(RuntimeError):
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        for gpu in tf.config.list_physical_devices("GPU"):
            tf.config.experimental.set_memory_growth(gpu, enable=True)


def sized(network: KerasNetwork, file: Admitted) -> Handling:
    """Return how an admitted network is used: its own size where it has one, channels last.

    Raises SetupFailed when what the list says cannot be read, or the size stands nowhere.
    """
    told = {"layout": Layout.NHWC, **file.handling}
    own = zip(("width", "height"), network.size, strict=True)
    return handling.of(file, told | {name: side for name, side in own if side is not None})


def check(content: bytes) -> None:
    """Refuse a file that is no Keras 3 network, or that names anything but plain layers.

    Raises SetupFailed.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            sizes = {one.filename: one.file_size for one in archive.infolist()}
            if sizes.keys() != {CONFIG, WEIGHTS, METADATA}:
                raise SetupFailed(f"this is no plain Keras 3 file: it holds {sorted(sizes)}")
            if sizes[CONFIG] > MOST_CONFIG_BYTES or sizes[WEIGHTS] > MOST_WEIGHTS_BYTES:
                raise SetupFailed("this Keras file unpacks to more than a network needs")
            config: dict[str, object] = dict(json.loads(archive.read(CONFIG)))
            weights = archive.read(WEIGHTS)
    except (zipfile.BadZipFile, ValueError, TypeError, KeyError, RuntimeError) as error:
        raise SetupFailed(f"this is no Keras 3 file: {error}") from error
    # How it was trained is not read: Keras is told not to.
    config.pop("compile_config", None)
    for module, name in _classes(config):
        if name not in ALLOWED.get(module, frozenset()):
            raise SetupFailed(f"{module}.{name} is no layer that a network may be built of")
    _check_weights(weights)


def _classes(node: Any) -> Iterator[tuple[str, str]]:  # noqa: ANN401 - JSON
    """Yield module and name of every class that a configuration has Keras build."""
    if isinstance(node, Mapping):
        if "class_name" in node:
            yield str(node.get("module")), str(node["class_name"])
        for value in node.values():
            yield from _classes(value)
    elif isinstance(node, list):
        for value in node:
            yield from _classes(value)


def _check_weights(content: bytes) -> None:
    """Refuse an HDF5 whose numbers lie in other files.

    Raises SetupFailed.
    """
    # Comes with Keras; without it nothing can be loaded anyway.
    import h5py  # noqa: PLC0415

    def look(group: Any) -> None:  # noqa: ANN401 - h5py ships no types
        for name in group:
            if isinstance(group.get(name, getlink=True), h5py.ExternalLink):
                raise SetupFailed(f"weights {name!r} lie in another file")
            one = group[name]
            if isinstance(one, h5py.Group):
                look(one)
            elif one.external or one.is_virtual:
                raise SetupFailed(f"weights {name!r} lie in another file")

    try:
        with h5py.File(io.BytesIO(content), "r") as file:
            look(file)
    except (OSError, KeyError, RecursionError) as error:
        raise SetupFailed(f"the weights of this Keras file cannot be read: {error}") from error
