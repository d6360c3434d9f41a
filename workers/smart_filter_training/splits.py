"""Which examples train and which validate: drawn by name, so that a new run draws the same."""

import hashlib
from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

_STEPS: Final = 1 << 32


def held_out(names: Iterable[str], *, share: float) -> NDArray[np.bool_]:
    """Return which names validate, (N,) bool: about `share` of them, 0..1.

    A name is on the same side however many others there are; what belongs together, such as
    both eyes of one photo, is given the same name.
    """
    drawn = [int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") for name in names]
    return np.array(drawn, dtype=np.float64) < share * _STEPS
