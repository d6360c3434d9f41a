"""Import ONNX Runtime with its telemetry off."""

import os
from types import ModuleType
from typing import Final

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
