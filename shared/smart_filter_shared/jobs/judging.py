"""Whether new weights may take the place of those that run, by how good both were measured.

What a candidate's metrics say, as JSON:

    {"count": 420, "against": "<digest>" | null,
     "candidate": {"accuracy": [0.91, 0.88, 0.93]}, "live": {"accuracy": [0.90, 0.87, 0.92]}}

Each figure with the bounds of its interval, both measured on the same frozen photos, `count` of
them; `against`: which weights were live then, null for the model's own.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from smart_filter_shared.cards import TaskName
from smart_filter_shared.errors import VersionRefused

# The figure of each task that decides, as `smart-filter eval` names it.
DECIDING: Final[Mapping[TaskName, str]] = {
    TaskName.SEGMENTATION: "iou",
    TaskName.FACE: "f1",
    TaskName.SMILE: "macro_f1",
    TaskName.EYES: "accuracy",
    TaskName.ORIENTATION: "accuracy",
}
# Of these less is better.
LOWER: Final = frozenset({"mad", "mae_levels", "harmed", "kl"})
# A figure, and from where to where it may lie.
_NUMBERS: Final = 3
# No figure is larger.
_MOST: Final = 1e12
_KEYS: Final = frozenset({"count", "against", "candidate", "live"})
_DIGEST: Final = re.compile("[0-9a-f]{64}")

Metrics = Mapping[str, Any]


def check(metrics: Metrics, task: TaskName) -> None:
    """Raise VersionRefused unless the metrics are of the form above, with what decides in them."""
    unknown = sorted(set(metrics) - _KEYS)
    if unknown:
        raise VersionRefused(f"metrics: {unknown[0]!r:.80} is none of {', '.join(sorted(_KEYS))}")
    for side in ("candidate", "live"):
        figures = metrics.get(side)
        if figures is None and side == "live":
            continue
        if not isinstance(figures, Mapping) or not all(map(_is_figure, figures.values())):
            raise VersionRefused(
                f'metrics: {side} is no object such as {{"accuracy": [0.91, 0.88, 0.93]}}, of'
                f" numbers within ±{_MOST:g}"
            )
        if not all(name and name.isprintable() for name in figures):
            raise VersionRefused(f"metrics: {side} has a figure whose name cannot be printed")
        if metrics.get("live") is not None and task in DECIDING and DECIDING[task] not in figures:
            raise VersionRefused(f"metrics: {side} has no {DECIDING[task]}, which decides")
    against, count = metrics.get("against"), metrics.get("count")
    if against is not None and not (isinstance(against, str) and _DIGEST.fullmatch(against)):
        raise VersionRefused("metrics: against is a digest of 64 digits or null")
    if count is not None and not (_is_number(count) and isinstance(count, int) and count >= 0):
        raise VersionRefused("metrics: count is how many photos, 0 or more")


def worse(metrics: Metrics, task: TaskName, live: str | None) -> str | None:
    """Return why weights should not take the place of what is live, or None.

    live: the digest of that; None for the model's own weights.
    """
    try:
        check(metrics, task)
    except VersionRefused as error:
        # Written down before so much was asked of metrics.
        return str(error)
    theirs, own = metrics.get("live"), metrics.get("candidate", {})
    if theirs is None:
        return "it was never compared with what is live"
    if metrics.get("against") != live:
        return f"it was compared with {_named(metrics.get('against'))}, and {_named(live)} is live"
    both = [name for name in own if name in theirs]
    if not both:
        return "it was compared with what is live by no figure"
    is_worse = (_worse_by(name, own[name], theirs[name], task) for name in both)
    return next((told for told in is_worse if told is not None), None)


def _worse_by(name: str, own: list[float], theirs: list[float], task: TaskName) -> str | None:
    if _is_surely_worse(name, own, theirs):
        return f"its {name} is {own[0]:g}, surely worse than {theirs[0]:g}"
    if name == DECIDING.get(task) and _gain(name, own[0], theirs[0]) < 0:
        return f"its {name} is {own[0]:g}, worse than {theirs[0]:g}"
    return None


def _is_surely_worse(name: str, own: list[float], theirs: list[float]) -> bool:
    """Whether both intervals lie apart."""
    best, least = (own[1], theirs[2]) if name in LOWER else (own[2], theirs[1])
    return _gain(name, best, least) < 0


def _gain(name: str, own: float, theirs: float) -> float:
    return theirs - own if name in LOWER else own - theirs


def _named(digest: str | None) -> str:
    return "its own weights" if digest is None else f"{digest[:12]}"


def _is_figure(value: object) -> bool:
    return isinstance(value, list) and len(value) == _NUMBERS and all(map(_is_number, value))


def _is_number(value: object) -> bool:
    """Whether something is a number that can be reckoned with; NaN is none, nor is true."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    # No float is made of it: an integer of 400 digits is none.
    return abs(value) <= _MOST
