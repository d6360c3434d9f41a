"""Order the copies of one photo: the original before those compressed, shrunk or marked."""

import math
import statistics
from collections.abc import Iterable, Sequence
from typing import Final

from smart_filter_shared.results import CopyTraces

# All costs are halvings of the photo's detail, chosen on training photos (benchmarks/best_copy.py).
# The blocks of an original, at most, among copies of one size. Resampling hides its blocks, so only
# coarser ones tell copies of other sizes apart.
_CLEAN_BLOCKS, _HIDDEN_BLOCKS, _BLOCKS_COST = 0.1, 0.4, 2.0
# Steps of a JPEG of quality 91, and 80: programs may save an enlarged copy more finely than cameras
# save originals.
_FINE_QUANTUM, _FINE_QUANTUM_SCALED, _QUANTUM_COST = 2.5, 5.0, 0.6
# The crispness of an original, at least, and how fast enlarging lowers it.
_CRISP, _CRISP_POWER = 0.2, 2.0
_LEAST_CRISP_SHARE: Final = 0.1
_FRAME_COST, _TURN_COST, _CAMERA_GAIN = 2.0, 2.0, 0.5
# A frame of less than this share is a line that shrinking has left.
_LEAST_FRAME: Final = 0.01
# Edges that only one copy has, by those that only the other has, from which on it is marked; for
# copies of other sizes, whose edges differ more; and the most that a mark costs.
_MARKED_FROM, _MARKED_FROM_SCALED, _MARK_COST = 1.8, 2.4, 3.0
_MARKED_CELLS: Final = 6
# From this correlation of their edges on, two photos are copies: those with captions have 0.9,
# those turned by three degrees 0.65.
_LEAST_LIKENESS: Final = 0.65
# Bars may cover a part of the photo, whose rest then lies elsewhere.
_LEAST_FRAMED_LIKENESS: Final = 0.45
# The difference that counts: photos of one burst differ less, and are of one size.
_VISIBLE, _VISIBLE_SCALED = 0.2, 0.03
# Shorter sides of other sizes differ by this share; bars are found to a pixel of the proxy.
_SCALED_FROM: Final = 0.01


def order_copies(photos: Sequence[CopyTraces | None], closed_eyes: Sequence[float]) -> list[int]:
    """Return the indices of photos of one scene; copies change places so that the best is first.

    closed_eyes: of each photo; photos that differ in them are shots of a burst, not copies. Photos
    that are no copies of each other, and copies that differ little, keep their order.
    """
    order: list[int] = []
    for index, photo in enumerate(photos):
        place = len(order)
        # The first of those that it outdoes, unless one between them is its better copy.
        for before in range(len(order) - 1, -1, -1):
            other = order[before]
            are_alike = closed_eyes[index] == closed_eyes[other]
            lead = compare(photo, photos[other]) if are_alike else 0.0
            if lead > 0:
                place = before
            elif lead < 0:
                break
        order.insert(place, index)
    return order


def compare(photo: CopyTraces | None, other: CopyTraces | None) -> float:
    """Return how much better a copy is than another, in doublings.

    0 if they are no copies, or if the difference may be chance.
    """
    if photo is None or other is None:
        return 0.0
    is_framed = (photo.frame > _LEAST_FRAME) != (other.frame > _LEAST_FRAME)
    least = _LEAST_FRAMED_LIKENESS if is_framed else _LEAST_LIKENESS
    if _measure_likeness(photo, other) < least:
        return 0.0
    are_scaled = _are_scaled(photo, other)
    lead = (
        _worth(photo, are_scaled=are_scaled)
        - _worth(other, are_scaled=are_scaled)
        - _mark_cost(photo, other)
        + _mark_cost(other, photo)
    )
    return lead if abs(lead) > (_VISIBLE_SCALED if are_scaled else _VISIBLE) else 0.0


def describe_copy(better: CopyTraces | None, other: CopyTraces | None) -> str | None:
    """Return why a copy comes before another, as the rest of a sentence; None if it does not."""
    if better is None or other is None or compare(better, other) <= 0:
        return None
    reasons = {
        "has no mark on it": _mark_cost(other, better),
        "has no frame": _frame_cost(other) - _frame_cost(better),
        "is less compressed": _compression_cost(other) - _compression_cost(better),
        "shows more detail": _log_detail(better) - _log_detail(other),
    }
    return max(reasons, key=lambda reason: reasons[reason])


def _are_scaled(photo: CopyTraces, other: CopyTraces) -> bool:
    """Return whether one copy was enlarged, shrunk or cut."""
    return abs(photo.shorter_px / other.shorter_px - 1) > _SCALED_FROM


def _worth(photo: CopyTraces, *, are_scaled: bool) -> float:
    return (
        _log_detail(photo)
        - _compression_cost(photo, are_scaled=are_scaled)
        - _frame_cost(photo)
        - _TURN_COST * photo.was_turned
        + _CAMERA_GAIN * photo.is_from_camera
    )


def _log_detail(photo: CopyTraces) -> float:
    share = min(1.0, max(_LEAST_CRISP_SHARE, (photo.crispness / _CRISP) ** _CRISP_POWER))
    return math.log2(photo.shorter_px * share)


def _compression_cost(photo: CopyTraces, *, are_scaled: bool = False) -> float:
    clean = _HIDDEN_BLOCKS if are_scaled else _CLEAN_BLOCKS
    fine = _FINE_QUANTUM_SCALED if are_scaled else _FINE_QUANTUM
    by_table = math.log2(max(1.0, (photo.quantum or 0.0) / fine))
    return max(_BLOCKS_COST * max(0.0, photo.blocks - clean), _QUANTUM_COST * by_table)


def _frame_cost(photo: CopyTraces) -> float:
    return _FRAME_COST * (photo.frame > _LEAST_FRAME or photo.plain_corners)


def _mark_cost(photo: CopyTraces, other: CopyTraces) -> float:
    """Return the cost of text and signs that a photo has and the other has not."""
    ours, theirs = bytes.fromhex(photo.edges), bytes.fromhex(other.edges)
    gain = statistics.median((mine + 2) / (its + 2) for mine, its in zip(ours, theirs, strict=True))
    more = _highest(mine - gain * its for mine, its in zip(ours, theirs, strict=True))
    less = _highest(its - mine / gain for mine, its in zip(ours, theirs, strict=True))
    least = _MARKED_FROM_SCALED if _are_scaled(photo, other) else _MARKED_FROM
    return min(_MARK_COST, max(0.0, more / (less + 2) - least))


def _highest(values: Iterable[float]) -> float:
    return statistics.fmean(sorted(values)[-_MARKED_CELLS:])


def _measure_likeness(photo: CopyTraces, other: CopyTraces) -> float:
    """Return the correlation of where two photos have edges."""
    logs = [[math.log(cell + 4) for cell in bytes.fromhex(each.edges)] for each in (photo, other)]
    try:
        return statistics.correlation(*logs)
    except statistics.StatisticsError:  # a photo without edges
        return 0.0
