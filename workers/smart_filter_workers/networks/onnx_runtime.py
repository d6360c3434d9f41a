"""ONNX Runtime, imported with its telemetry off."""

import os
from types import ModuleType
from typing import Final

# Official builds report each load and each session to their vendor, unless this says 1.
TELEMETRY_SWITCH: Final = "ORT_DISABLE_TELEMETRY"


def load() -> ModuleType:
    """Import ONNX Runtime with its telemetry off and return the module.

    This is the only place that imports it: the library reads the variable while it is imported,
    and the reporter it starts without it cannot be stopped afterwards.
    Source: Privacy.md of the package onnxruntime 1.31.
    """
    os.environ[TELEMETRY_SWITCH] = "1"
    # Imported here, because reading the cards of models must not load a framework.
    import onnxruntime  # noqa: PLC0415

    module: ModuleType = onnxruntime
    return module
