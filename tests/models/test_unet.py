"""The model `unet`: accepted Keras files, and the reading of their answers.

tests/contract/test_segmentation_models.py tests what it shares with every model of its task.
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest

from smart_filter_shared.errors import SetupFailed
from smart_filter_tests.pictures import ODD_SIZES, half_red, noise, prepared_photo
from smart_filter_workers.models import admission
from smart_filter_workers.networks.runtimes import keras_network
from smart_filter_workers.results import Srgb8
from smart_filter_workers.stages.segmentation.models import unet
from smart_filter_workers.stages.segmentation.models.base import People
from smart_filter_workers.weights import allowlist
from smart_filter_workers.weights.allowlist import AdmittedFile

# A warning of Keras on TensorFlow about NumPy 2 copies.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SIDE_PX = 64
# Levels of 255: even a steep sigmoid is not a step.
STEEP = 3
SEGMENTATION = {"task": "segmentation"}


@pytest.fixture(scope="module")
def sigmoid(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A small U-shaped network with one answer: the redness of the picture."""
    return saved(a_network(channels=1), tmp_path_factory.mktemp("sigmoid"))


@pytest.fixture(scope="module")
def softmax(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The same of any size with two answers, the second of them people."""
    return saved(a_network(channels=2, side_px=None), tmp_path_factory.mktemp("softmax"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, sigmoid: bytes, softmax: bytes) -> Path:
    """A weights folder with both; each takes a process that loads Keras to be admitted."""
    source = tmp_path_factory.mktemp("unet")
    folder = source / "weights"
    admit(folder, source / "a.keras", sigmoid, "one-answer")
    two = {"width": 96, "height": 64, "channel": 1}
    admit(folder, source / "b.keras", softmax, "two-answers", two)
    return folder


def a_network(*, channels: int, side_px: int | None = SIDE_PX) -> Any:  # noqa: ANN401 - Keras' own
    """Return a network with a skip connection whose weights are set, compiled as if trained."""
    layers = keras.layers
    picture = keras.Input((side_px, side_px, 3))
    down = layers.Conv2D(4, 3, padding="same", activation="relu")(picture)
    up = layers.UpSampling2D()(layers.BatchNormalization()(layers.MaxPooling2D()(down)))
    both = layers.Concatenate()([picture, layers.Dropout(0.5)(up)])
    last = layers.Conv2D(channels, 1, activation="sigmoid" if channels == 1 else "softmax")
    network = keras.Model(picture, last(both))
    kernel, bias = (np.zeros(weight.shape, np.float32) for weight in last.get_weights())
    # Red above one half is people.
    kernel[0, 0, 0, -1], bias[-1] = 40, -20
    last.set_weights([kernel, bias])
    network.compile("adam", "binary_crossentropy")
    return network


def saved(network: Any, folder: Path) -> bytes:  # noqa: ANN401 - Keras' own
    path = folder / "network.keras"
    network.save(path)
    return path.read_bytes()


def admit(
    folder: Path,
    source: Path,
    content: bytes,
    entry: str,
    handling: Mapping[str, object] | None = None,
) -> AdmittedFile:
    source.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    admitted = AdmittedFile("", digest, "unet", entry=entry, handling=handling or {})
    return admission.admit_file(folder, source, admitted)


def cut_out(folder: Path, srgb: Srgb8, entry: str) -> People:
    (people,) = unet.load(folder)([prepared_photo(srgb)], parameters={"entry": entry})
    return people


@pytest.mark.parametrize("entry", ["one-answer", "two-answers"])
def test_matte_is_the_networks_answer_at_any_size(folder: Path, entry: str) -> None:
    people = cut_out(folder, half_red(128, 256), entry)
    for size in ODD_SIZES:
        srgb = prepared_photo(noise(*size)).proxy_srgb
        assert cut_out(folder, srgb, entry).matte.shape == srgb.shape[:2]

    assert people.persons is None
    assert people.matte[:, :112].min() >= 255 - STEEP
    assert people.matte[:, 144:].max() <= STEEP


def test_edges_of_a_segmentation_follow_the_pictures(tmp_path: Path, sigmoid: bytes) -> None:
    folder = tmp_path / "weights"
    admit(folder, tmp_path / "a.keras", sigmoid, "segmentation", SEGMENTATION)

    matte = cut_out(folder, half_red(512, 512), "segmentation").matte

    assert matte[:, :254].min() == 255
    assert matte[:, 258:].max() == 0


def test_network_of_any_size_must_be_given_one(tmp_path: Path, softmax: bytes) -> None:
    with pytest.raises(SetupFailed, match="width"):
        admit(tmp_path / "weights", tmp_path / "a.keras", softmax, "sizeless")

    assert allowlist.read_allowlist(tmp_path / "weights") == ()


def changed(content: bytes, change: Callable[[dict[str, Any]], None]) -> bytes:
    """Return a Keras file with a modified configuration."""
    source = zipfile.ZipFile(io.BytesIO(content))
    config = json.loads(source.read(keras_network.CONFIG_FILE))
    change(config)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as target:
        for name in source.namelist():
            admitted = (
                json.dumps(config) if name == keras_network.CONFIG_FILE else source.read(name)
            )
            target.writestr(name, admitted)
    return file.getvalue()


def of_last_layer(**config: object) -> Callable[[dict[str, Any]], None]:
    return lambda network: network["config"]["layers"][-1].update(config)


@pytest.mark.parametrize(
    "layer",
    [
        # Code itself, as Keras 2 and Keras 3 write it.
        {"class_name": "Lambda"},
        {"module": None, "class_name": "__lambda__", "config": {"value": "4wEA"}},
        # Any function by name (CVE-2025-1550), and one that fetches a file (CVE-2025-8747).
        {"module": "builtins", "class_name": "exec", "config": {}},
        {"module": "keras.utils", "class_name": "get_file", "config": {}},
        {"module": "keras.src.utils.file_utils", "class_name": "get_file", "config": {}},
        # A layer that reads a file of this machine (CVE-2025-12058), one that loads a model.
        {"module": "keras.layers", "class_name": "StringLookup", "config": {}},
        {"module": "keras.layers", "class_name": "TFSMLayer", "config": {}},
        {"module": "keras.layers", "class_name": "TorchModuleWrapper", "config": {}},
        # Functions next to classes that only make numbers.
        {"module": "keras.initializers", "class_name": "deserialize", "config": {}},
        {"module": "my.own", "class_name": "Layer", "registered_name": "mine>Layer"},
    ],
    ids=lambda layer: layer["class_name"],
)
def test_file_with_other_than_plain_layers_is_refused(
    sigmoid: bytes, layer: dict[str, object]
) -> None:
    with pytest.raises(SetupFailed, match="not an allowed layer"):
        keras_network.check(changed(sigmoid, of_last_layer(**layer)))


def test_weights_in_another_file_are_refused(sigmoid: bytes, tmp_path: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(sigmoid)) as archive:
        (tmp_path / "weights.h5").write_bytes(archive.read(keras_network.WEIGHTS_FILE))
    with h5py.File(tmp_path / "weights.h5", "a") as file:
        file["secret"] = h5py.ExternalLink("/etc/shadow.h5", "/")
    bad = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(sigmoid)) as source, zipfile.ZipFile(bad, "w") as target:
        for name in (keras_network.CONFIG_FILE, keras_network.METADATA_FILE):
            target.writestr(name, source.read(name))
        target.write(tmp_path / "weights.h5", keras_network.WEIGHTS_FILE)

    with pytest.raises(SetupFailed, match="another file"):
        keras_network.check(bad.getvalue())


def test_hidden_function_stray_file_and_missing_network_are_refused(sigmoid: bytes) -> None:
    hidden = {"module": "builtins", "class_name": "function", "config": "system"}
    with pytest.raises(SetupFailed, match="builtins"):
        keras_network.check(changed(sigmoid, of_last_layer(config={"activation": hidden})))

    file = io.BytesIO(sigmoid)
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("assets/../../up", b"")
    with pytest.raises(SetupFailed, match="not a plain Keras 3 file"):
        keras_network.check(file.getvalue())

    for content in (b"", b"\x89HDF\r\n\x1a\n", b"PK\x03\x04", b"\x80\x04."):
        with pytest.raises(SetupFailed, match="not a Keras 3 file"):
            keras_network.check(content)
