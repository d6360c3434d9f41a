"""`smart-filter eval`: how good and how dear the models of a task are, on photos of one's own."""

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from smart_filter_deploy.cli.console import Console
from smart_filter_deploy.cli.endings import WRONG_USAGE, Ending, needing
from smart_filter_deploy.cli.examples import examples
from smart_filter_deploy.cli.report import print_table
from smart_filter_shared.errors import FolderUnreadable
from smart_filter_shared.places import data_folder

if TYPE_CHECKING:
    from smart_filter_workers.evaluation.base import Metric
    from smart_filter_workers.evaluation.intervals import Figure
    from smart_filter_workers.evaluation.measure import Evaluation, Measured, Tell

# As smart_filter_workers.evaluation.tasks has them, which a bare install cannot import.
TASKS = ("segmentation", "face", "smile", "eyes", "orientation")


@click.command(
    "eval",
    epilog=examples(
        "smart-filter eval segmentation --data photos-with-masks --models people,selfie",
        "smart-filter eval smile --data faces --json",
        "smart-filter eval segmentation --data photos-with-masks --html worst.html",
    ),
)
@click.argument("task", type=click.Choice(TASKS))
@click.option("--models", metavar="A,B", help="Which models beside the default one.")
@click.option(
    "--data",
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The folder with the task's photos and their answers (docs/evaluation.md).",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="MODEL.PARAMETER=VALUE",
    help="A parameter of a model, instead of its default; as often as needed.",
)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.option(
    "--html",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    metavar="FILE",
    help="Write a page with pictures of the worst photos.",
)
@click.option("--limit", type=click.IntRange(1), help="Look at so many photos only.")
def evaluate(
    *,
    task: str,
    models: str | None,
    data: Path,
    html: Path | None,
    limit: int | None,
    settings: tuple[str, ...],
    as_json: bool,
) -> None:
    """Measure models on photos whose answers are known, in this process' own machine.

    The default model comes first. Nothing is sent to a server.
    """
    with needing("worker"):
        # The workers' packages are not part of a bare install.
        from smart_filter_deploy.cli import local_models  # noqa: PLC0415
        from smart_filter_workers.evaluation import measure, page  # noqa: PLC0415

    named = local_models.default_first(task, models)
    weights = local_models.weights_of(task, named, data_folder() / "weights")
    local_models.ensure_runnable(task, named, weights)
    given = local_models.with_parameters(task, named, settings, weights)
    if html is not None and not html.absolute().parent.is_dir():
        raise Ending(f"{html.parent} is no folder", WRONG_USAGE)
    try:
        with _progress() as tell:
            evaluation = measure.evaluate(
                local_models.task_of(task),
                given,
                data=data,
                weights=weights,
                limit=limit,
                show=page.MOST_SHOWN if html is not None else 0,
                tell=tell,
            )
    except FolderUnreadable as error:
        raise Ending(str(error), WRONG_USAGE) from error
    if html is not None:
        html.write_text(page.write(evaluation), encoding="utf-8")
    if as_json:
        click.echo(json.dumps(_document(evaluation)))
        return
    _print(Console(highlight=False), evaluation)
    if html is not None:
        click.echo(f"pictures: {html}")


@contextmanager
def _progress() -> Iterator["Tell"]:
    """Give what shows how far a model is, on a terminal; elsewhere it shows nothing."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(
        *columns, TimeRemainingColumn(), console=console, transient=True,
        disable=not console.is_terminal,
    ) as progress:  # fmt: skip
        bars = {}

        def tell(name: str, done: int, total: int) -> None:
            if name not in bars:
                bars[name] = progress.add_task(name, total=total)
            progress.update(bars[name], completed=done)

        yield tell


def _document(evaluation: "Evaluation") -> dict[str, object]:
    return {
        "task": str(evaluation.task),
        "data": str(evaluation.data),
        "count": evaluation.count,
        "models": [_entry(evaluation, measured) for measured in evaluation.models],
    }


def _entry(evaluation: "Evaluation", measured: "Measured") -> dict[str, object]:
    """Return what the contract names, and beside it what else there is to know."""
    contract = [metric.name for metric in evaluation.metrics if metric.contract]
    more = [metric.name for metric in evaluation.metrics if not metric.contract]
    entry: dict[str, object] = {
        "name": measured.card.name,
        "version": measured.card.version,
        "parameters": dict(measured.parameters),
        "metrics": {name: _number(measured.figures[name].value) for name in contract},
        "cpu_ms": round(measured.cpu_ms, 2),
        "peak_mb": round(measured.peak_mb, 1),
        "intervals": _intervals(measured.figures),
        "more": {name: _number(measured.figures[name].value) for name in more},
        "parts": {
            group.name: {
                "count": group.count,
                "metrics": {name: _number(one.value) for name, one in group.figures.items()},
                "intervals": _intervals(group.figures),
            }
            for group in measured.groups
        },
    }
    if measured.against:
        entry["less_default"] = {
            "metrics": {name: _number(one.value) for name, one in measured.against.items()},
            "intervals": _intervals(measured.against),
        }
    if measured.confusion is not None:
        confusion = measured.confusion
        entry["confusion"] = {
            "truths": confusion.truths,
            "answers": confusion.answers,
            "counts": confusion.counts,
        }
    return entry


def _intervals(figures: "Mapping[str, Figure]") -> dict[str, list[float | None]]:
    return {name: [_number(one.low), _number(one.high)] for name, one in figures.items()}


def _number(value: float) -> float | None:
    """Return what JSON has for a number: it knows no `nan`."""
    return round(value, 5) if math.isfinite(value) else None


def _print(console: Console, evaluation: "Evaluation") -> None:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column(f"{evaluation.count} photos", no_wrap=True)
    for metric in evaluation.metrics:
        table.add_column(metric.title, justify="right", no_wrap=True)
    table.add_column("CPU", justify="right", no_wrap=True)
    table.add_column("memory", justify="right", no_wrap=True)
    for measured in evaluation.models:
        cost = (Text(f"{measured.cpu_ms:.1f} ms"), Text(f"{measured.peak_mb:.0f} MB"))
        name = Text.assemble((measured.card.name, "bold"), f" {measured.card.version}")
        table.add_row(name, *_row(evaluation.metrics, measured.figures), *cost)
        for group in measured.groups:
            part = Text(f"  {group.name} {group.count}", style="dim")
            table.add_row(part, *_row(evaluation.metrics, group.figures))
        if measured.against:
            part = Text(f"  less {evaluation.models[0].card.name}", style="dim")
            table.add_row(part, *_row(evaluation.metrics, measured.against, sign="+"))
    print_table(console, table)
    console.print("[dim]figures with 95 % intervals over photos; CPU a photo, on one thread[/]")


def _row(
    metrics: "tuple[Metric, ...]", figures: "Mapping[str, Figure]", *, sign: str = ""
) -> list[Text]:
    return [_shown(figures[metric.name], sign) for metric in metrics]


def _shown(figure: "Figure", sign: str) -> Text:
    if math.isnan(figure.value):
        return Text("–", style="dim")
    between = f" {figure.low:{sign}.3f}…{figure.high:{sign}.3f}"
    return Text.assemble(f"{figure.value:{sign}.3f}", (between, "dim"))
