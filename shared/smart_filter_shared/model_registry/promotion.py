"""The promotion gate: decide by measured metrics whether new weights may replace the live ones.

The metrics of a candidate, as JSON:

    {"count": 420, "against": "<digest>" | null,
     "candidate": {"accuracy": [0.91, 0.88, 0.93]}, "live": {"accuracy": [0.90, 0.87, 0.92]}}

Each figure has its value and the bounds of its interval. Both sides were measured on the same
`count` frozen photos. `against` is the digest of the weights that were live then, null for the
model's own.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from smart_filter_shared.errors import VersionRefused
from smart_filter_shared.pipeline import TaskName

# The deciding figure of each task, by its name in `smart-filter eval`.
DECIDING_METRIC: Final[Mapping[TaskName, str]] = {
    TaskName.SEGMENTATION: "iou",
    TaskName.FACE: "f1",
    TaskName.SMILE: "macro_f1",
    TaskName.EYES: "accuracy",
    TaskName.ORIENTATION: "accuracy",
}
# Figures for which a smaller value is better.
LOWER_IS_BETTER: Final = frozenset({"mad", "mae_levels", "harmed", "kl"})
# Items of a figure: the value, and the lower and upper bound of its interval.
_FIGURE_LENGTH: Final = 3
# Bound of the absolute value of a figure.
_MAX_FIGURE: Final = 1e12
_KEYS: Final = frozenset({"count", "against", "candidate", "live"})
_DIGEST: Final = re.compile("[0-9a-f]{64}")

Metrics = Mapping[str, Any]


def check_metrics(metrics: Metrics, task: TaskName) -> None:
    """Raise VersionRefused unless metrics have the form above and include the deciding figure."""
    unknown = sorted(set(metrics) - _KEYS)
    if unknown:
        raise VersionRefused(
            f"metrics: {unknown[0]!r:.80} is not one of {', '.join(sorted(_KEYS))}"
        )
    for side in ("candidate", "live"):
        figures = metrics.get(side)
        if figures is None and side == "live":
            continue
        if not isinstance(figures, Mapping) or not all(map(_is_figure, figures.values())):
            raise VersionRefused(
                f'metrics: {side} must be an object such as {{"accuracy": [0.91, 0.88, 0.93]}}'
                f" with numbers within ±{_MAX_FIGURE:g}"
            )
        if not all(name and name.isprintable() for name in figures):
            raise VersionRefused(f"metrics: {side} has a figure with an unprintable name")
        if (
            metrics.get("live") is not None
            and task in DECIDING_METRIC
            and DECIDING_METRIC[task] not in figures
        ):
            raise VersionRefused(
                f"metrics: {side} lacks the deciding figure {DECIDING_METRIC[task]}"
            )
    against, count = metrics.get("against"), metrics.get("count")
    if against is not None and not (isinstance(against, str) and _DIGEST.fullmatch(against)):
        raise VersionRefused("metrics: against must be a digest of 64 hex digits or null")
    if count is not None and not (_is_number(count) and isinstance(count, int) and count >= 0):
        raise VersionRefused("metrics: count must be a number of photos, 0 or more")


def find_regression(metrics: Metrics, task: TaskName, live: str | None) -> str | None:
    """Return why a candidate should not replace the live weights, or None when it may.

    live: the digest of the live weights; None for the model's own.
    """
    try:
        check_metrics(metrics, task)
    except VersionRefused as error:
        # Registered before these checks existed.
        return str(error)
    theirs, candidate = metrics.get("live"), metrics.get("candidate", {})
    if theirs is None:
        return "it was never compared with the live weights"
    if metrics.get("against") != live:
        compared = _describe_weights(metrics.get("against"))
        return f"it was compared with {compared}, but {_describe_weights(live)} is live"
    both = [name for name in candidate if name in theirs]
    if not both:
        return "it has no figure in common with the live weights"
    regressions = (_describe_regression(name, candidate[name], theirs[name], task) for name in both)
    return next((reason for reason in regressions if reason is not None), None)


def _describe_regression(
    name: str, candidate: list[float], live: list[float], task: TaskName
) -> str | None:
    if _is_significantly_worse(name, candidate, live):
        return f"its {name} is {candidate[0]:g}, significantly worse than {live[0]:g}"
    if name == DECIDING_METRIC.get(task) and _gain(name, candidate[0], live[0]) < 0:
        return f"its {name} is {candidate[0]:g}, worse than {live[0]:g}"
    return None


def _is_significantly_worse(name: str, candidate: list[float], live: list[float]) -> bool:
    """Return whether the candidate's whole interval is worse than the live one's."""
    best, least = (candidate[1], live[2]) if name in LOWER_IS_BETTER else (candidate[2], live[1])
    return _gain(name, best, least) < 0


def _gain(name: str, candidate: float, live: float) -> float:
    return live - candidate if name in LOWER_IS_BETTER else candidate - live


def _describe_weights(digest: str | None) -> str:
    return "its own weights" if digest is None else f"{digest[:12]}"


def _is_figure(value: object) -> bool:
    return isinstance(value, list) and len(value) == _FIGURE_LENGTH and all(map(_is_number, value))


def _is_number(value: object) -> bool:
    """Return whether a value is a number within the bounds; NaN and booleans are not."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    # Compared without conversion: an integer of 400 digits does not fit a float.
    return abs(value) <= _MAX_FIGURE
