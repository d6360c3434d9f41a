"""The promotion gate: decide by measured metrics whether new weights may replace the live ones.

The metrics of a candidate, as JSON:

    {"count": 420, "against": "<digest>" | null,
     "candidate": {"accuracy": [0.91, 0.88, 0.93]}, "live": {"accuracy": [0.90, 0.87, 0.92]}}

Each figure has its value and the bounds of its interval. Both sides were measured on the same
`count` frozen photos. `against` is the digest of the weights that were live then, null for the
model's own.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

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


def _check_printable(name: str) -> str:
    if not name.isprintable():
        raise ValueError("the name of a figure is not printable")
    return name


_Bounded = Annotated[float, Field(strict=True, ge=-1e12, le=1e12)]
_Name = Annotated[str, Field(min_length=1), AfterValidator(_check_printable)]
_Figures = dict[_Name, tuple[_Bounded, _Bounded, _Bounded]]

Metrics = Mapping[str, Any]


class _Metrics(BaseModel):
    model_config = ConfigDict(extra="forbid")

    candidate: _Figures
    live: _Figures | None = None
    against: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    count: Annotated[int, Field(strict=True, ge=0)] | None = None


def check_metrics(metrics: Metrics, task: TaskName) -> None:
    """Raise VersionRefused unless metrics have the form above and include the deciding figure."""
    try:
        read = _Metrics.model_validate(metrics)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place, why = ".".join(map(str, first["loc"])), first["msg"].removeprefix("Value error, ")
        raise VersionRefused(
            f"metrics: {place!r:.80}: {why}; write them as in"
            ' {"candidate": {"accuracy": [0.91, 0.88, 0.93]}}'
        ) from error
    deciding = DECIDING_METRIC.get(task)
    if read.live is not None and deciding is not None:
        for side, figures in (("candidate", read.candidate), ("live", read.live)):
            if deciding not in figures:
                raise VersionRefused(f"metrics: {side} lacks the deciding figure {deciding}")


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
