"""sRGB: its curve between coded values and linear light, and the weights of luma."""

from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

Float = TypeVar("Float", np.float32, np.float64)
# Weights of red, green and blue.  Source: ITU-R BT.709.
LUMA_WEIGHTS: Final = (0.2126, 0.7152, 0.0722)


def decode_curve(coded_01: NDArray[Float]) -> NDArray[Float]:
    """Return the linear light, 0..1, of coded values, 0..1.  Source: IEC 61966-2-1."""
    curved = ((coded_01 + 0.055) / 1.055) ** 2.4
    return np.where(coded_01 <= 0.04045, coded_01 / 12.92, curved)  # noqa: PLR2004 - the standard's


def encode_curve(light_01: NDArray[Float]) -> NDArray[Float]:
    """Return the coded values, 0..1, of linear light, 0..1.  Source: IEC 61966-2-1."""
    curved = 1.055 * light_01 ** (1 / 2.4) - 0.055
    return np.where(light_01 <= 0.0031308, 12.92 * light_01, curved)  # noqa: PLR2004 - the standard's
