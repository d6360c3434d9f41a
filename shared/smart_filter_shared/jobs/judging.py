"""Whether new weights may take the place of those that run, by how good both were measured.

What a candidate's metrics say, as JSON:

    {"count": 420, "against": "<digest>" | null,
     "candidate": {"accuracy": [0.91, 0.88, 0.93]}, "live": {"accuracy": [0.90, 0.87, 0.92]}}

Each figure with the bounds of its interval, both measured on the same frozen photos, `count` of
them; `against`: which weights were live then, null for the model's own.
"""

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

Metrics = Mapping[str, Any]


def check(metrics: Metrics) -> None:
    """Raise VersionRefused unless the metrics are of the form above."""
    for side in ("candidate", "live"):
        figures = metrics.get(side)
        if figures is None and side == "live":
            continue
        if not isinstance(figures, Mapping) or not all(map(_is_figure, figures.values())):
            raise VersionRefused(
                f'metrics: {side} is no object such as {{"accuracy": [0.91, 0.88, 0.93]}}'
            )
    against = metrics.get("against")
    if against is not None and not isinstance(against, str):
        raise VersionRefused("metrics: against is a digest or null")


def worse(metrics: Metrics, task: TaskName, live: str | None) -> str | None:
    """Return why weights should not take the place of what is live, or None.

    live: the digest of that; None for the model's own weights.
    """
    theirs, own = metrics.get("live"), metrics.get("candidate", {})
    if theirs is None:
        return "it was never compared with what is live"
    if metrics.get("against") != live:
        return f"it was compared with {_named(metrics.get('against'))}, and {_named(live)} is live"
    both = [name for name in own if name in theirs]
    if not both:
        return "it was compared with what is live by no figure"
    decides = DECIDING.get(task)
    for name in both:
        if _is_surely_worse(name, own[name], theirs[name]):
            return f"its {name} is {own[name][0]:g}, surely worse than {theirs[name][0]:g}"
        if name == decides and _gain(name, own[name][0], theirs[name][0]) < 0:
            return f"its {name} is {own[name][0]:g}, worse than {theirs[name][0]:g}"
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
    if not isinstance(value, list) or len(value) != _NUMBERS:
        return False
    return all(isinstance(one, int | float) and not isinstance(one, bool) for one in value)
