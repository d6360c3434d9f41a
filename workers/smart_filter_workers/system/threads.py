"""Limit the native libraries to one thread per call."""

import ctypes
import re
from pathlib import Path

from PIL import AvifImagePlugin

from smart_filter_workers.opencv import cv2

# The names in the wheels of numpy and of OpenCV, and in a plain build.
_SETTERS = (
    "scipy_openblas_set_num_threads64_",
    "scipy_openblas_set_num_threads",
    "openblas_set_num_threads64_",
    "openblas_set_num_threads",
)
_LIBRARY = re.compile(r"\S*/[^/\s]*openblas[^/\s]*$", re.MULTILINE)


def limit_native_threads() -> int:
    """Limit OpenCV, OpenBLAS and Pillow's AVIF to the calling thread.

    Returns the number of OpenBLAS libraries that were limited. A worker's own threads already
    share the cores. OpenBLAS waits for its helper threads by spinning: on two busy cores a photo
    of one megapixel took 0.20 to 0.33 s of CPU time, and takes 0.15 s without
    (docs/measurements.md). Its environment variable would have to be set before numpy is
    imported, in every place that starts a worker.
    Source: the method of threadpoolctl, for libraries that are already loaded.
    """
    cv2.setNumThreads(1)
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1  # of its decoder; no call takes it as a parameter
    maps = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace")
    limited = 0
    for path in sorted(set(_LIBRARY.findall(maps))):
        library = ctypes.CDLL(path)
        setter = next((name for name in _SETTERS if hasattr(library, name)), None)
        if setter is not None:
            getattr(library, setter)(1)
            limited += 1
    return limited
