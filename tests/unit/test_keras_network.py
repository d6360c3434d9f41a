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


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (module, name)
        for module in ("keras.initializers", "keras.regularizers", "keras.constraints")
        for name in ("get", "serialize", "deserialize")
    ],
)
def test_function_beside_harmless_classes_is_refused(module: str, name: str) -> None:
    with pytest.raises(SetupFailed, match=rf"^{module}\.{name} is no layer"):
        keras_network.check(a_file(module, name))


@pytest.mark.parametrize("module", sorted(keras_network.ALLOWED))
def test_no_name_that_is_allowed_is_a_functions(module: str) -> None:
    functions = [name for name in keras_network.ALLOWED[module] if name[0].islower()]

    assert functions == []
