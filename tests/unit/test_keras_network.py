"""What a Keras file may name, told from its configuration alone: no framework is needed."""

import io
import json
import zipfile

import pytest

from smart_filter_shared.errors import SetupFailed
from smart_filter_workers.networks import keras_network


def a_file(module: str, name: str) -> bytes:
    """Return a Keras file whose only layer has something of a module for its first weights."""
    given = {"module": module, "class_name": name, "config": {}}
    layer = {
        "module": "keras.layers",
        "class_name": "Conv2D",
        "config": {"kernel_initializer": given},
    }
    network = {"module": "keras", "class_name": "Sequential", "config": {"layers": [layer]}}
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(keras_network.CONFIG, json.dumps(network))
        archive.writestr(keras_network.WEIGHTS, b"")
        archive.writestr(keras_network.METADATA, "{}")
    return content.getvalue()


@pytest.mark.parametrize("name", ["get", "serialize", "deserialize"])
@pytest.mark.parametrize(
    "module", ["keras.initializers", "keras.regularizers", "keras.constraints"]
)
def test_function_next_to_harmless_classes_is_refused(module: str, name: str) -> None:
    with pytest.raises(SetupFailed, match=rf"^{module}\.{name} is no layer"):
        keras_network.check(a_file(module, name))


def test_allowed_names_are_of_classes() -> None:
    names = [name for allowed in keras_network.ALLOWED.values() for name in allowed]

    assert [name for name in names if name[0].islower()] == []
