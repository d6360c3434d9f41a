"""Detect a GPU that networks can run on."""

import ctypes
from typing import Final

# The device name on models' cards.
GPU: Final = "cuda"


def find_gpu_fault() -> str | None:
    """Return why there is no NVIDIA GPU here, or None when there is one.

    It asks the driver itself, so that no framework has to be loaded.
    Source: CUDA Driver API, cuInit and cuDeviceGetCount; 0 is CUDA_SUCCESS.
    """
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return "there is no NVIDIA driver here (libcuda.so.1): give the container a GPU"
    status = driver.cuInit(0)
    if status != 0:
        return f"the NVIDIA driver answers with error {status}: check whether nvidia-smi runs"
    gpus = ctypes.c_int(0)
    status = driver.cuDeviceGetCount(ctypes.byref(gpus))
    if status != 0 or gpus.value == 0:
        return "the NVIDIA driver shows no GPU: give the container one"
    return None
