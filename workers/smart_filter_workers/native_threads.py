"""How many threads of their own the native libraries start for one call: one."""

import ctypes
import re
from pathlib import Path

import cv2
from PIL import AvifImagePlugin

# As wheels name them: numpy's, OpenCV's, and a plain build's.
_SETTERS = (
    "scipy_openblas_set_num_threads64_",
    "scipy_openblas_set_num_threads",
    "openblas_set_num_threads64_",
    "openblas_set_num_threads",
)
_LIBRARY = re.compile(r"\S*/[^/\s]*openblas[^/\s]*$", re.MULTILINE)


def one_per_call() -> int:
    """Keep OpenCV, OpenBLAS and Pillow's AVIF to the thread that calls them; return how many obey.

    A worker's own threads share the cores already. OpenBLAS waits for its helpers by
    spinning: on two busy cores a photo of one megapixel took 0.20 to 0.33 s of processor
    time, and takes 0.15 s without (docs/measurements.md). Its environment variable would
    have to be there before numpy is imported, in every place that starts a worker.
    Source: the way of threadpoolctl, for libraries that are loaded already.
    """
    cv2.setNumThreads(1)
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1  # of its decoder: no parameter of a call
    maps = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace")
    obeyed = 0
    for path in sorted(set(_LIBRARY.findall(maps))):
        library = ctypes.CDLL(path)
        setter = next((name for name in _SETTERS if hasattr(library, name)), None)
        if setter is not None:
            getattr(library, setter)(1)
            obeyed += 1
    return obeyed
