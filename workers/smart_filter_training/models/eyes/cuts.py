"""From where on an eye is called open, and up to where shut: chosen on validation crops."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from smart_filter_workers.networks.eye_patches import Cuts

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

# At most so many open eyes are called shut; what lies from there to the other cut is unknown.
_OPEN_CALLED_SHUT: Final = 0.005


def chosen(said: Floats, is_open: Mask) -> Cuts:
    """Return the cuts that suit crops: said (N,) in 0..1, and whether each is open, (N,) bool.

    Open: where most crops are right, in the middle of the longest such stretch. Shut: as high
    as leaves hardly any open eye below, and not above the other.
    """
    edges = np.concatenate([[0.0], np.unique(said), [1.0]]).astype(np.float64)
    middles = (edges[:-1] + edges[1:]) / 2
    right = np.array([((said > middle) == is_open).sum() for middle in middles])
    widths = np.where(right == right.max(), edges[1:] - edges[:-1], -1)
    open_above = float(middles[int(widths.argmax())])
    lowest = float(np.quantile(said[is_open], _OPEN_CALLED_SHUT, method="lower"))
    return Cuts(shut_below=min(lowest, open_above), open_above=open_above)
