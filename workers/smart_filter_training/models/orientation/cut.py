"""How sure an orientation network must be before a photo is turned."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

# What may be turned of what stands upright, chosen on validation scenes. Half of what is
# promised of photos, because those differ more from the training photos than these do.
_MOST_HARMED: Final = 0.005
_JUST_ABOVE: Final = 1e-4


def sure_above(shares: Floats) -> float:
    """Return the least share at which a turn is believed, so that hardly any upright one is.

    shares: (N, 4), how likely each turn of upright scenes was said to be right.
    """
    wrong = np.where(shares.argmax(axis=1) == 0, 0.0, shares.max(axis=1))
    surest_first = np.sort(wrong)[::-1]
    allowed = int(_MOST_HARMED * len(wrong))
    return float(min(1.0, surest_first[allowed] + _JUST_ABOVE))
