"""Native libraries are kept to the thread that calls them."""

import ctypes
from pathlib import Path

import cv2
import numpy as np
from PIL import AvifImagePlugin

from smart_filter_workers import native_threads


def test_no_library_keeps_helpers() -> None:
    cv2.setNumThreads(2)
    libraries = (Path(np.__file__).parents[1] / "numpy.libs").glob("*openblas*")
    blas = [ctypes.CDLL(str(path)) for path in libraries]
    for library in blas:
        library.scipy_openblas_set_num_threads64_(2)

    obeyed = native_threads.one_per_call()

    assert cv2.getNumThreads() == 1
    assert AvifImagePlugin.DEFAULT_MAX_THREADS == 1
    assert obeyed >= len(blas)
    assert {library.scipy_openblas_get_num_threads64_() for library in blas} <= {1}
