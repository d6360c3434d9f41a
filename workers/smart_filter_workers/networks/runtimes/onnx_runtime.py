"""Import ONNX Runtime with its telemetry off, and open small networks in it."""

import json
import os
from collections.abc import Callable
from types import ModuleType
from typing import Any, Final, TypeVar

from smart_filter_shared.errors import SetupFailed

Metadata = TypeVar("Metadata")

# Official builds report each load and each session to their vendor unless this variable is 1.
TELEMETRY_SWITCH: Final = "ORT_DISABLE_TELEMETRY"


def load() -> ModuleType:
    """Return the module onnxruntime, imported with its telemetry off.

    No other code imports it: the library reads the variable during import, and its reporter cannot
    be stopped once started.
    Source: Privacy.md of the package onnxruntime 1.31.
    """
    os.environ[TELEMETRY_SWITCH] = "1"
    # Import here, because reading model cards must not load a framework.
    import onnxruntime  # noqa: PLC0415

    module: ModuleType = onnxruntime
    return module


def load_quantization() -> ModuleType:
    """Return the module onnxruntime.quantization, with the telemetry of ONNX Runtime off."""
    load()
    import onnxruntime.quantization.qdq_quantizer  # noqa: PLC0415 - as above

    module: ModuleType = onnxruntime.quantization
    return module


def open_small(content: bytes) -> Any:  # noqa: ANN401 - ONNX Runtime ships no types
    """Return a session on one thread of a CPU, which any thread may run.

    Raises the errors of ONNX Runtime, which have no common class.
    """
    library = load()
    options = library.SessionOptions()
    options.intra_op_num_threads = 1  # the worker's own threads already share the cores
    # Memory patterns for each input size cost up to 30 MB and save no time.
    options.enable_mem_pattern = False
    # Log errors only: at lower levels it warns of every size that a graph declares and a picture
    # does not have.
    options.log_severity_level = 3
    return library.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def open_trained(
    content: bytes, key: str, parse: Callable[[Any], Metadata], *, what: str
) -> tuple[Any, Metadata]:
    """Return a session of a network that was trained here, and what its metadata say.

    content: the file's bytes, whose digest was checked.  key: of the metadata, which are JSON.
    Raises SetupFailed when the network does not load, or has no such metadata.
    """
    try:
        session = open_small(content)
        return session, parse(json.loads(session.get_modelmeta().custom_metadata_map[key]))
    except Exception as error:
        raise SetupFailed(f"this is not {what}: {error}") from error
