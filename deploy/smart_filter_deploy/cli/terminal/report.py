"""Prints the findings and outputs of jobs, and describes when they will have ended."""

import math
from collections.abc import Iterable, Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from smart_filter_client.models import Job
from smart_filter_deploy.cli.terminal.console import facts_table, print_table
from smart_filter_deploy.cli.terminal.outputs import Failure, Outcome
from smart_filter_deploy.cli.terminal.photo_files import name_photo
from smart_filter_wire.findings import AppliedFilter, ChosenBackground, Eyes, Face, Rating
from smart_filter_wire.jobs import Picture, QueuePosition, Stage
from smart_filter_wire.printability import CheckVerdict, DocumentReport, Printability

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
_MAX_FACES = 12
# Outputs that include the background.
_OUTPUTS_WITH_BACKGROUND = frozenset({"image", "thumbnail"})
_KILO = 1000
_MINUTE_SECONDS = 60
_HOUR_SECONDS = 3600


def print_outcome(console: Console, outcome: Outcome) -> None:
    """Print the outcome of a photo: findings and output files."""
    console.print(Text(name_photo(outcome.place.photo), style="bold"), soft_wrap=True)
    lines = [] if outcome.job is None else _finding_rows(outcome.job)
    lines += [
        (label, _file_text(path, outcome.job.image if outcome.job and label == "picture" else None))
        for label, path in (("picture", outcome.image), *outcome.others.items())
        if path is not None
    ]
    if outcome.failure is not None:
        lines += _failure_rows(outcome.failure)
    lines.append(("time", format_seconds(outcome.seconds)))
    print_table(console, facts_table(lines))


def print_findings(console: Console, job: Job) -> None:
    """Print the findings of a job: people, faces, rating, background, or its error."""
    lines = _finding_rows(job)
    if job.error is not None:
        lines += _failure_rows(job.error)
    print_table(console, facts_table(lines))


def print_stages(console: Console, job: Job) -> None:
    """Print the state of each stage of a job."""
    table = Table.grid(padding=(0, 1))
    for stage in job.stages:
        model = "" if stage.model == stage.name else stage.model
        table.add_row(
            " ",
            state_mark(stage.state),
            Text(stage.name),
            Text(format_stage_time(stage), style="dim", justify="right"),
            Text(model, style="dim"),
        )
    print_table(console, table)


def state_mark(state: str) -> Text:
    """Return the symbol of a stage's state."""
    sign, style = _MARKS.get(state, ("·", "dim"))
    return Text(sign, style=style)


def format_stage_time(stage: Stage) -> str:
    """Return how long a stage ran, or `reused` if it did not run."""
    return "reused" if stage.reused else format_seconds(stage.seconds)


def format_seconds(value: float | None) -> str:
    """Return a duration with three digits at most."""
    if value is None:
        return ""
    return f"{value:.2f} s" if value < 10 else f"{value:.0f} s"  # noqa: PLR2004 - three digits


def format_bytes(count: int) -> str:
    """Return a number of bytes as text, such as `1.25 MB`."""
    power = 0 if count < _KILO else min(2, int(math.log(count, _KILO)))
    digits = 1 if power == 2 else 0  # noqa: PLR2004 - megabytes are few
    return f"{count / _KILO**power:.{digits}f} {('bytes', 'kB', 'MB')[power]}"


def describe_position(job: Job) -> str | None:
    """Return a job's position and ETA, such as `3 before it, done in about 4 s, 9 s at most`.

    None when the job is finished, or the server gives no position.
    """
    queue = job.queue
    if queue is None or job.is_final:
        return None
    ends = _range_of(queue)
    before = f"{queue.position - 1} before it, " if queue.position > 1 else ""
    if ends is None:
        return f"{before}paused by the operator"
    return f"{before}done in {_format_range(*ends)}"


def describe_completion(jobs: Iterable[Job]) -> str | None:
    """Return the ETA of the last job; None when it is unknown."""
    queues = [job.queue for job in jobs if job.queue is not None and not job.is_final]
    ends = [eta for queue in queues if (eta := _range_of(queue)) is not None]
    if not queues or len(ends) < len(queues):
        return None
    return f"all done in {_format_range(max(end[0] for end in ends), max(end[1] for end in ends))}"


def describe_degraded(job: Job) -> str | None:
    """Return the quality settings reduced to meet a job's deadline; None when there are none."""
    return ", ".join(job.degraded) or None


def describe_people(count: int, subject: str | None) -> str:
    """Return a number of people as text, or that a thing was cut out.  subject: as in a job."""
    if subject == "object":
        return "1 object"
    return "1 person" if count == 1 else f"{count} people"


def format_duration(seconds: float) -> str:
    """Return a rounded duration, such as `3 min`."""
    if seconds < _MINUTE_SECONDS:
        return f"{max(1, round(seconds))} s"
    if seconds < _HOUR_SECONDS:
        return f"{round(seconds / _MINUTE_SECONDS)} min"
    return f"{round(seconds / _HOUR_SECONDS)} h"


def _finding_rows(job: Job) -> list[tuple[str, Text | str]]:
    queue = {"queue": describe_position(job), "degraded": describe_degraded(job)}
    lines: list[tuple[str, Text | str]] = [
        (label, text) for label, text in queue.items() if text is not None
    ]
    if _lacks_best_model(job):
        lines.append(("edge", "best without BiRefNet, which no worker has: models pull best"))
    if job.people is not None:
        lines.append(("object" if job.subject == "object" else "people", _people(job)))
    if job.needs_review:
        agreement = "" if job.confidence is None else f", agreement {job.confidence:.2f} of 1"
        lines.append(("review", f"look at the cutout{agreement}"))
    lines.extend(("warning", warning) for warning in job.warnings)
    shown = (job.faces or ())[:_MAX_FACES]
    for number, face in enumerate(shown, start=1):
        label = "face" if len(shown) == 1 else f"face {number}"
        lines.append((label, _face(face)))
    left = len(job.faces or ()) - len(shown)
    if left > 0:
        lines.append(("", Text(f"and {left} more", style="dim")))
    if job.rating is not None:
        lines.append(("rating", _rating(job.rating)))
    if job.printability is not None:
        lines.append(("print", _print(job.printability)))
    lines += document_rows(job.document_report)
    # Before it is chosen, and where no output shows it, it is only the requested one.
    if job.succeeded and _shows_background(job.background, job):
        lines.append(("background", _background(job.background)))
        others = [candidate.name for candidate in job.background.candidates[1:]]
        if others:
            lines.append(("", Text(f"also good: {', '.join(others)}", style="dim")))
    lines += [
        ("filter", _filters_text(filter_)) for filter_ in job.filters if filter_.applied is not None
    ]
    return lines


def _lacks_best_model(job: Job) -> bool:
    """Return whether `edge=best` was asked for and its model, `best`, was not there."""
    recipe = job.recipe
    if recipe.get("edge") != "best" or job.subject == "object":
        return False
    is_auto = recipe.get("segmentation", {}).get("model") == "auto"
    used = {stage.model for stage in job.stages if stage.name == "segmentation"}
    return is_auto and bool(used - {"best"})


def _failure_rows(failure: Failure) -> list[tuple[str, Text]]:
    where = f", in {failure.stage}" if failure.stage else ""
    what = failure.detail or failure.title or failure.code
    rows = [("failed", Text.assemble((what, "red"), (f"  ({failure.code}{where})", "dim")))]
    return [*rows, ("remedy", Text(failure.remedy))] if failure.remedy else rows


def _file_text(path: Path, picture: Picture | None) -> Text:
    facts = [format_bytes(path.stat().st_size)] if path.is_file() else []
    if picture is not None:
        facts.insert(0, f"{picture.width} × {picture.height} {picture.format}")
    return Text.assemble((str(path), "bold"), (f"  {', '.join(facts)}", "dim"))


def _people(job: Job) -> str:
    if not job.people and job.subject != "object":
        return "none"
    people = describe_people(job.people or 0, job.subject)
    if job.faces is None or job.subject == "object":
        return people
    faces = {0: "no face", 1: "1 face"}.get(len(job.faces), f"{len(job.faces)} faces")
    return f"{people}, {faces}"


def _face(face: Face) -> str:
    smile = "no smile" if face.smile.level == "none" else f"{face.smile.level} smile"
    x, y, width, height = face.box
    return f"{smile}, {_eyes(face.eyes)}, {width:.0f} × {height:.0f} px at {x:.0f}, {y:.0f}"


def _eyes(eyes: Eyes) -> str:
    states = (eyes.left_open, eyes.right_open)
    if states == (True, True):
        return "both eyes open"
    if states == (False, False):
        return "both eyes closed"
    if states == (None, None):
        return "eyes not seen"
    return f"left eye {_eye(eyes.left_open)}, right eye {_eye(eyes.right_open)}"


def _eye(is_open: bool | None) -> str:  # noqa: FBT001 - the value to print
    return "not seen" if is_open is None else ("open" if is_open else "closed")


def _rating(rating: Rating) -> Text:
    smiles = rating.shares.get("smile", 0.0)
    eyes = rating.shares.get("eyes", 0.0)
    unseen = 2 * rating.faces - rating.known_eyes
    return Text.assemble(
        (f"{rating.points} of 100", "bold"),
        f": {smiles:g} × {rating.avg_smiling_score:.2f} smiles + {eyes:g} × "
        f"{rating.open_eyes} of {rating.known_eyes} open eyes"
        + (f" ({unseen} not seen)" if unseen else ""),
    )


def _print(printable: Printability) -> Text:
    reasons = dict.fromkeys((*printable.reasons, printable.size.text))
    return Text.assemble((printable.verdict, "bold"), f" – {' '.join(reasons)}")


def document_rows(report: DocumentReport | None) -> Iterator[tuple[str, Text | str]]:
    """Yield a report's verdict, and each check that does not pass, as label and text."""
    if report is None:
        return
    yield "document", Text.assemble((report.verdict, "bold"), f" – {report.title}")
    for check in report.checks:
        if check.verdict != CheckVerdict.PASS:
            measured = check.measured or "not seen"
            name = check.name.replace("_", " ")
            yield "", f"{check.verdict}: {name} {measured}, {check.limit} asked. {check.remedy}"


def _shows_background(background: ChosenBackground, job: Job) -> bool:
    return background.reason is not None or not _OUTPUTS_WITH_BACKGROUND.isdisjoint(job.outputs)


def _background(background: ChosenBackground) -> Text:
    name = background.name or background.kind
    reason = f" – {background.reason}" if background.reason else ""
    return Text.assemble((name, "bold"), reason)


def _filters_text(filtered: AppliedFilter) -> Text:
    left_out = "" if filtered.applied else " skipped"
    reason = f" – {filtered.reason}" if filtered.reason else ""
    return Text.assemble((filtered.name, "bold"), (left_out, "yellow"), reason)


def _range_of(queue: QueuePosition) -> tuple[float, float] | None:
    """Return the ETA in seconds as p50 and p90; None if unknown."""
    half, most = queue.eta_p50_s, queue.eta_p90_s
    return None if half is None or most is None else (half, most)


def _format_range(half: float, most: float) -> str:
    about, at_most = format_duration(half), format_duration(most)
    return f"about {about}" if about == at_most else f"about {about}, {at_most} at most"
