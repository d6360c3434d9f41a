"""Tells people what was found in a photo and what was made of it."""

import math
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from smart_filter_client.models import (
    Background,
    Eyes,
    Face,
    Failure,
    Filtered,
    Job,
    Picture,
    Rating,
)
from smart_filter_client.printability import Printability
from smart_filter_deploy.cli import queued
from smart_filter_deploy.cli.outcome import Outcome

STATE_STYLES = {
    "succeeded": "green",
    "failed": "red",
    "canceled": "yellow",
    "running": "cyan",
    "queued": "dim",
}
_MARKS = {
    "succeeded": ("✓", "green"),
    "failed": ("✗", "red"),
    "canceled": ("–", "yellow"),
    "running": ("›", "cyan"),
}
_MOST_FACES = 12
# Outputs that show it.
_WITH_BACKGROUND = frozenset({"image", "thumbnail"})
_KILO = 1000


def print_outcome(console: Console, outcome: Outcome) -> None:
    """Print what became of a photo: what was found in it, and where its picture is."""
    console.print(Text(str(outcome.place.photo), style="bold"), soft_wrap=True)
    lines = [] if outcome.job is None else _found(outcome.job)
    lines += [
        (label, _written(path, outcome.job.image if outcome.job and label == "picture" else None))
        for label, path in (("picture", outcome.image), *outcome.beside.items())
        if path is not None
    ]
    if outcome.failure is not None:
        lines.append(("failed", _failure(outcome.failure)))
    lines.append(("time", Text(seconds(outcome.seconds))))
    print_table(console, _table(lines))


def print_found(console: Console, job: Job) -> None:
    """Print what is known of a job: people, faces, rating, background, or why it failed."""
    lines = _found(job)
    if job.error is not None:
        lines.append(("failed", _failure(job.error)))
    print_table(console, _table(lines))


def print_stages(console: Console, job: Job) -> None:
    """Print where each stage of a job stands."""
    table = Table.grid(padding=(0, 1))
    for stage in job.stages:
        model = stage.model if stage.model not in {None, stage.name} else ""
        table.add_row(
            " ",
            mark(stage.state),
            Text(stage.name),
            Text(seconds(stage.seconds), style="dim", justify="right"),
            Text(model or "", style="dim"),
        )
    print_table(console, table)


def print_table(console: Console, table: Table) -> None:
    """Print a table; where nobody looks at it, its lines are not fitted to a width."""
    if console.is_terminal:
        console.print(table)
    else:
        for line in _unwrapped(console, table):
            console.print(line, soft_wrap=True, markup=False)


def mark(state: str) -> Text:
    """Return the sign for a stage's state."""
    sign, style = _MARKS.get(state, ("·", "dim"))
    return Text(sign, style=style)


def seconds(value: float | None) -> str:
    """Return a time with as many digits as are worth reading."""
    if value is None:
        return ""
    return f"{value:.2f} s" if value < 10 else f"{value:.0f} s"  # noqa: PLR2004 - three digits


def size(count: int) -> str:
    """Return a number of bytes, for people."""
    power = 0 if count < _KILO else min(2, int(math.log(count, _KILO)))
    digits = 1 if power == 2 else 0  # noqa: PLR2004 - megabytes are few
    return f"{count / _KILO**power:.{digits}f} {('bytes', 'kB', 'MB')[power]}"


def _table(lines: Sequence[tuple[str, Text]]) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for label, text in lines:
        table.add_row(f"  {label}", text)
    return table


def _found(job: Job) -> list[tuple[str, Text]]:
    told = {"queue": queued.told(job), "degraded": queued.degraded(job)}
    lines = [(label, Text(text)) for label, text in told.items() if text is not None]
    if job.people is not None:
        lines.append(("people", Text(_people(job))))
    if job.confidence is not None:
        review = ": have a look" if job.needs_review else ""
        lines.append(("agreement", Text(f"{job.confidence:.2f} of 1{review}")))
    shown = (job.faces or ())[:_MOST_FACES]
    for number, face in enumerate(shown, start=1):
        label = "face" if len(shown) == 1 else f"face {number}"
        lines.append((label, Text(_face(face))))
    left = len(job.faces or ()) - len(shown)
    if left > 0:
        lines.append(("", Text(f"and {left} more", style="dim")))
    if job.rating is not None:
        lines.append(("rating", _rating(job.rating)))
    if job.printability is not None:
        lines.append(("print", _print(job.printability)))
    # Before it is chosen, and where nothing shows it, a job has what was asked for.
    if job.background is not None and job.succeeded and _is_seen(job.background, job):
        lines.append(("background", _background(job.background)))
        others = [one.name for one in job.background.candidates[1:]]
        if others:
            lines.append(("", Text(f"also good: {', '.join(others)}", style="dim")))
    lines += [("filter", _filtered(one)) for one in job.filters if one.applied is not None]
    return lines


def _failure(failure: Failure) -> Text:
    where = f", in {failure.stage}" if failure.stage else ""
    what = failure.detail or failure.title or failure.code
    return Text.assemble((what, "red"), (f"  ({failure.code}{where})", "dim"))


def _written(path: Path, picture: Picture | None) -> Text:
    told = [size(path.stat().st_size)] if path.is_file() else []
    if picture is not None:
        told.insert(0, f"{picture.width} × {picture.height} {picture.format}")
    return Text.assemble((str(path), "bold"), (f"  {', '.join(told)}", "dim"))


def _people(job: Job) -> str:
    if not job.people:
        return "nobody"
    people = "1 person" if job.people == 1 else f"{job.people} people"
    if job.faces is None:
        return people
    faces = {0: "no face", 1: "1 face"}.get(len(job.faces), f"{len(job.faces)} faces")
    return f"{people}, {faces}"


def _face(face: Face) -> str:
    parts = []
    if face.smile is not None:
        parts.append("no smile" if face.smile.level == "none" else f"{face.smile.level} smile")
    if face.eyes is not None:
        parts.append(_eyes(face.eyes))
    if len(face.box) == 4:  # noqa: PLR2004 - x, y, width, height
        x, y, width, height = face.box
        parts.append(f"{width:.0f} × {height:.0f} px at {x:.0f}, {y:.0f}")
    return ", ".join(parts)


def _eyes(eyes: Eyes) -> str:
    states = (eyes.left_open, eyes.right_open)
    if states == (True, True):
        return "both eyes open"
    if states == (False, False):
        return "both eyes closed"
    if states == (None, None):
        return "eyes not seen"
    return f"left eye {_eye(eyes.left_open)}, right eye {_eye(eyes.right_open)}"


def _eye(is_open: bool | None) -> str:  # noqa: FBT001 - it is the value that is told
    return "not seen" if is_open is None else ("open" if is_open else "closed")


def _rating(rating: Rating) -> Text:
    smiles = rating.shares.get("smile", 0.0)
    eyes = rating.shares.get("eyes", 0.0)
    return Text.assemble(
        (f"{rating.score:.2f}", "bold"),
        f" = {smiles:g} × {rating.avg_smiling_score:.2f} smiles"
        f" + {eyes:g} × {rating.open_eye_ratio:.2f} open eyes",
    )


def _print(printable: Printability) -> Text:
    size = printable.parts.get("size")
    told = [*printable.reasons]
    if size is not None and size.text not in told:
        told.append(size.text)
    return Text.assemble((printable.verdict, "bold"), f" – {' '.join(told)}")


def _is_seen(background: Background, job: Job) -> bool:
    return background.reason is not None or not _WITH_BACKGROUND.isdisjoint(job.outputs)


def _background(background: Background) -> Text:
    name = background.name or background.kind
    reason = f" – {background.reason}" if background.reason else ""
    return Text.assemble((name, "bold"), reason)


def _filtered(filtered: Filtered) -> Text:
    left_out = "" if filtered.applied else " left out"
    reason = f" – {filtered.reason}" if filtered.reason else ""
    return Text.assemble((filtered.name, "bold"), (left_out, "yellow"), reason)


def _unwrapped(console: Console, table: Table) -> Sequence[str]:
    wide = console.options.update_width(10_000)
    rendered = console.render_lines(table, wide, pad=False)
    return ["".join(segment.text for segment in line).rstrip() for line in rendered]
