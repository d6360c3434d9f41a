"""`smart-filter eval`: measures quality and cost of a task's models on your own photos."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from smart_filter_deploy.cli import local_models
from smart_filter_deploy.cli.commands.options import EXISTING_FOLDER, FILE, FOLDER, json_option
from smart_filter_deploy.cli.terminal.console import EscapingConsole, print_columns
from smart_filter_deploy.cli.terminal.exit_codes import CommandError
from smart_filter_deploy.cli.terminal.text import examples, print_json, print_line
from smart_filter_shared.config.paths import data_folder
from smart_filter_shared.pipeline import TaskName
from smart_filter_shared.recipe import Edge
from smart_filter_training.evaluation import html_report, measure, tiers
from smart_filter_training.evaluation.base import Metric
from smart_filter_training.evaluation.confidence_intervals import Figure
from smart_filter_training.evaluation.measure import Evaluation, ModelResult, ProgressCallback
from smart_filter_training.evaluation.tasks import TASKS


@click.command(
    "eval",
    epilog=examples(
        "smart-filter eval segmentation --data photos-with-masks --models people,selfie",
        "smart-filter eval smile --data faces --json",
        "smart-filter eval segmentation --data photos-with-masks --html worst.html",
        "smart-filter eval segmentation --data photos --tiers sheets",
    ),
)
@click.argument("task", type=click.Choice([str(task) for task in TASKS]))
@click.option("--models", metavar="A,B", help="Models to measure in addition to the default model.")
@click.option(
    "--data",
    required=True,
    type=EXISTING_FOLDER,
    help="Folder with photos and ground truth (docs/evaluation.md).",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="MODEL.PARAMETER=VALUE",
    help="Set a model parameter; can be repeated.",
)
@json_option
@click.option(
    "--html",
    type=FILE,
    metavar="FILE",
    help="Write an HTML report with the worst photos.",
)
@click.option(
    "--tiers",
    "sheets",
    type=FOLDER,
    metavar="DIR",
    help="Compare edge=fast, balanced and best instead; write a sheet for each photo to DIR.",
)
@click.option("--limit", type=click.IntRange(1), help="Maximum number of photos.")
def evaluate(
    *,
    task: str,
    models: str | None,
    data: Path,
    html: Path | None,
    sheets: Path | None,
    limit: int | None,
    settings: tuple[str, ...],
    as_json: bool,
) -> None:
    """Measure models on photos with ground truth, on this machine.

    The default model comes first. Sends nothing to a server.
    """
    if sheets is not None:
        if task != TaskName.SEGMENTATION or models or settings or html:
            raise CommandError("--tiers takes segmentation, --data and --limit only")
        _compare_tiers(data, sheets, limit=limit, as_json=as_json)
        return
    names = local_models.list_default_first(task, models)
    weights = local_models.fetch_weights(task, names, data_folder() / "weights")
    local_models.ensure_runnable(task, names, weights)
    given = local_models.parse_parameters(task, names, settings, weights)
    if html is not None and not html.absolute().parent.is_dir():
        raise CommandError(f"{html.parent} is not a folder")
    with _progress() as tell:
        evaluation = measure.evaluate(
            TaskName(task),
            given,
            data=data,
            weights=weights,
            research=local_models.load_catalog().research,
            limit=limit,
            show=html_report.MAX_PHOTOS if html is not None else 0,
            tell=tell,
        )
    if html is not None:
        html.write_text(html_report.render_page(evaluation), encoding="utf-8")
    if as_json:
        print_json(_document(evaluation))
        return
    _print(evaluation)
    if html is not None:
        click.echo(f"pictures: {html}")


def _compare_tiers(data: Path, sheets: Path, *, limit: int | None, as_json: bool) -> None:
    _make_sheets_folder(sheets, data)
    names = local_models.list_default_first(TaskName.SEGMENTATION, None)
    weights = local_models.fetch_weights(TaskName.SEGMENTATION, names, data_folder() / "weights")
    research = local_models.load_catalog().research
    with _progress() as tell:
        compared = tiers.compare_tiers(
            data, sheets, weights=weights, research=research, limit=limit, tell=tell
        )
    used = {tier.edge: tier.model for tier in compared.tiers}
    if used[Edge.BEST] == used[Edge.BALANCED]:
        print_line("edge=best ran without BiRefNet: smart-filter models pull best", err=True)
    if as_json:
        rows = [
            {
                "edge": str(tier.edge),
                "model": tier.model,
                "iou": _json_number(tier.iou),
                "near_edge": _json_number(tier.near_edge),
                "cpu_ms": round(tier.cpu_ms, 2),
            }
            for tier in compared.tiers
        ]
        counts = {"photos": compared.photos, "masks": compared.masks}
        print_json({"data": str(data), **counts, "sheets": str(sheets), "tiers": rows})
        return
    titles = ("IoU", "near edges", "CPU")
    print_columns(
        (f"{compared.photos} photos, {compared.masks} masks", *titles),
        [
            (
                Text.assemble((str(tier.edge), "bold"), f" {tier.model}"),
                *(_format_number(tier.iou), _format_number(tier.near_edge)),
                f"{tier.cpu_ms:.0f} ms",
            )
            for tier in compared.tiers
        ],
        right=titles,
    )
    click.echo(f"sheets: {sheets}")


def _make_sheets_folder(sheets: Path, data: Path) -> None:
    """Make the folder of the sheets.  Raises CommandError where a sheet could replace a file."""
    if sheets.resolve().is_relative_to(data.resolve()):
        raise CommandError(f"{sheets} is in --data: name a folder outside {data}")
    try:
        sheets.mkdir(parents=True, exist_ok=True)
        if any(sheets.iterdir()):
            raise CommandError(f"{sheets} is not empty: name a new folder")
    except OSError as error:
        raise CommandError(f"{sheets}: {error.strerror}") from error


def _format_number(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.3f}"


@contextmanager
def _progress() -> Iterator[ProgressCallback]:
    """Give a callback that shows a model's progress on a terminal; elsewhere it does nothing."""
    console = EscapingConsole(stderr=True)
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


def _document(evaluation: Evaluation) -> dict[str, object]:
    return {
        "task": str(evaluation.task),
        "data": str(evaluation.data),
        "count": evaluation.count,
        "models": [_entry(evaluation, measured) for measured in evaluation.models],
    }


def _entry(evaluation: Evaluation, measured: ModelResult) -> dict[str, object]:
    """Return a model's results: the metrics of the contract, and further ones under `more`."""
    contract = [metric.name for metric in evaluation.metrics if metric.contract]
    more = [metric.name for metric in evaluation.metrics if not metric.contract]
    entry: dict[str, object] = {
        "name": measured.card.name,
        "version": measured.card.version,
        "parameters": dict(measured.parameters),
        "metrics": {name: _json_number(measured.figures[name].value) for name in contract},
        "cpu_ms": round(measured.cpu_ms, 2),
        "peak_mb": round(measured.peak_mb, 1),
        "intervals": _intervals(measured.figures),
        "more": {name: _json_number(measured.figures[name].value) for name in more},
        "parts": {
            group.name: {
                "count": group.count,
                "metrics": {
                    name: _json_number(figure.value) for name, figure in group.figures.items()
                },
                "intervals": _intervals(group.figures),
            }
            for group in measured.groups
        },
    }
    if measured.against:
        entry["less_default"] = {
            "metrics": {
                name: _json_number(figure.value) for name, figure in measured.against.items()
            },
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


def _intervals(figures: Mapping[str, Figure]) -> dict[str, list[float | None]]:
    return {
        name: [_json_number(figure.low), _json_number(figure.high)]
        for name, figure in figures.items()
    }


def _json_number(value: float) -> float | None:
    """Return a rounded number; None for NaN and infinity, which JSON lacks."""
    return round(value, 5) if math.isfinite(value) else None


def _print(evaluation: Evaluation) -> None:
    titles = (*(metric.title for metric in evaluation.metrics), "CPU", "memory")
    rows: list[tuple[Text, ...]] = []
    for measured in evaluation.models:
        cost = (Text(f"{measured.cpu_ms:.1f} ms"), Text(f"{measured.peak_mb:.0f} MB"))
        name = Text.assemble((measured.card.name, "bold"), f" {measured.card.version}")
        rows.append((name, *_figure_cells(evaluation.metrics, measured.figures), *cost))
        for group in measured.groups:
            part = Text(f"  {group.name} {group.count}", style="dim")
            rows.append((part, *_figure_cells(evaluation.metrics, group.figures)))
        if measured.against:
            part = Text(f"  less {evaluation.models[0].card.name}", style="dim")
            rows.append((part, *_figure_cells(evaluation.metrics, measured.against, sign="+")))
    print_columns((f"{evaluation.count} photos", *titles), rows, right=titles)
    EscapingConsole(highlight=False).print(
        "[dim]figures with 95 % intervals over photos; CPU time per photo, on one thread[/]"
    )


def _figure_cells(
    metrics: tuple[Metric, ...], figures: Mapping[str, Figure], *, sign: str = ""
) -> list[Text]:
    return [_format_figure(figures[metric.name], sign) for metric in metrics]


def _format_figure(figure: Figure, sign: str) -> Text:
    if math.isnan(figure.value):
        return Text("–", style="dim")
    between = f" {figure.low:{sign}.3f}…{figure.high:{sign}.3f}"
    return Text.assemble(f"{figure.value:{sign}.3f}", (between, "dim"))
