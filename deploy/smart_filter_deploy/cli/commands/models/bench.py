"""`smart-filter models bench`: measures the time and memory of models on this machine."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click
from rich.status import Status
from rich.text import Text

from smart_filter_deploy.cli import local_models
from smart_filter_deploy.cli.commands.options import EXISTING_FILE, json_option
from smart_filter_deploy.cli.terminal.console import EscapingConsole, print_columns
from smart_filter_deploy.cli.terminal.exit_codes import (
    ALL_SUCCEEDED,
    PHOTO_FAILED,
    CommandError,
)
from smart_filter_deploy.cli.terminal.text import examples, print_json
from smart_filter_shared.catalog.model_card import ENTRY_PARAMETER, Offer
from smart_filter_shared.catalog.parameters import Parameters
from smart_filter_shared.config.paths import data_folder
from smart_filter_shared.errors import SetupFailed
from smart_filter_training.evaluation import timing
from smart_filter_training.evaluation.tasks import TASKS
from smart_filter_training.evaluation.timing import Sample, Timing


@click.command(
    short_help="Measure time and memory of models.",
    epilog=examples(
        "smart-filter models bench people selfie",
        "smart-filter models bench --photo me.jpg --runs 20 --json",
    ),
)
@click.argument("names", nargs=-1, metavar="[MODEL[/ENTRY]]...")
@click.option(
    "--photo",
    type=EXISTING_FILE,
    help="Photo to run on. Default: a generated picture without people.",
)
@click.option(
    "--runs", type=click.IntRange(1, 1000), default=10, show_default=True, help="Runs per model."
)
@json_option
def bench(names: tuple[str, ...], *, photo: Path | None, runs: int, as_json: bool) -> int:
    """Measure CPU time per photo on one thread, and memory.

    Each model runs in its own process; its first run is not counted. Without a name: all models
    that can run here. Exits with 1 if one could not run.
    """
    timings = _measure(data_folder() / "weights", names, photo=photo, runs=runs)
    if as_json:
        print_json({"runs": runs, "models": [timing_.document for timing_ in timings]})
    else:
        _print_results(timings)
    return PHOTO_FAILED if any(timing_.fault for timing_ in timings) else ALL_SUCCEEDED


@dataclass(frozen=True, slots=True)
class _BenchResult:
    """Measured cost of a model, or why it did not run.

    name: of the model, with its entry when one was named.
    """

    task: str
    name: str
    version: str
    timing: Timing | None
    fault: str | None = None

    @property
    def document(self) -> dict[str, object]:
        """The --json document."""
        facts: dict[str, object] = {"task": self.task, "name": self.name, "version": self.version}
        if self.timing is None:
            return {**facts, "fault": self.fault}
        return {
            **facts,
            "cpu_ms": round(self.timing.cpu_ms, 2),
            "cpu_ms_p90": round(self.timing.slowest_cpu_ms, 2),
            "ms": round(self.timing.ms, 2),
            "peak_mb": round(self.timing.peak_mb, 1),
        }


@dataclass(frozen=True, slots=True)
class _BenchTarget:
    offer: Offer
    name: str
    parameters: Parameters


def _measure(
    folder: Path, names: Sequence[str], *, photo: Path | None, runs: int
) -> list[_BenchResult]:
    """Measure the named models, or all that can run here.

    names: `MODEL`, for every task that has such a model, or `MODEL/ENTRY`.
    Ends the command when a name is unknown or the photo cannot be read.
    """
    # `prepare` always runs first, because it finds the faces that models work on.
    local_models.fetch_weights("", (), folder)
    discovered = local_models.load_catalog()
    offers = [offer for offer in discovered.offers(folder) if offer.card.task in TASKS]
    wanted = [target for name in names for target in _select_targets(offers, name)]
    if not names:
        wanted = [
            _BenchTarget(offer, offer.card.name, {}) for offer in offers if offer.fault is None
        ]
    with (
        timing.open_sample(photo, folder, research=discovered.research) as sample,
        Status("", console=EscapingConsole(stderr=True)) as status,
    ):
        measured = []
        for target in wanted:
            status.update(f"{target.offer.card.task} {target.name}")
            measured.append(
                _measure_one(target, sample, folder, runs, research=discovered.research)
            )
        return measured


def _print_results(measured: Sequence[_BenchResult]) -> None:
    """Print the measurements as a table."""
    figures = ("CPU ms", "p90", "ms", "peak MB")
    print_columns(("task", "model", *figures), map(_table_row, measured), right=figures)


def _table_row(result: _BenchResult) -> tuple[Text | str, ...]:
    if result.timing is None:
        return result.task, Text(result.name, "bold red"), Text(result.fault or "", "red")
    timing_ = result.timing
    return (
        result.task,
        Text(result.name, "bold"),
        *(f"{ms:.1f}" for ms in (timing_.cpu_ms, timing_.slowest_cpu_ms, timing_.ms)),
        f"{timing_.peak_mb:.0f}",
    )


def _measure_one(
    wanted: _BenchTarget, sample: Sample, folder: Path, runs: int, *, research: bool
) -> _BenchResult:
    card, fault = wanted.offer.card, wanted.offer.fault
    if fault is not None:
        return _BenchResult(card.task, wanted.name, card.version, None, fault)
    entry = card.parameter(ENTRY_PARAMETER)
    parameters = {ENTRY_PARAMETER: entry.default} if entry is not None else {}
    try:
        took = timing.time_model(
            card.task,
            card.name,
            {**parameters, **wanted.parameters},
            sample,
            weights=folder,
            runs=runs,
            research=research,
        )
    except SetupFailed as error:
        return _BenchResult(card.task, wanted.name, card.version, None, str(error))
    return _BenchResult(card.task, wanted.name, card.version, took)


def _select_targets(offers: Sequence[Offer], name: str) -> list[_BenchTarget]:
    model, slash, entry = name.partition("/")
    named_model = [offer for offer in offers if offer.card.name == model]
    if not named_model:
        names = ", ".join(sorted({offer.card.name for offer in offers}))
        raise CommandError(f"there is no model {model!r}; there are {names}")
    if not slash:
        return [_BenchTarget(offer, name, {}) for offer in named_model]
    choosing = [offer for offer in named_model if _has_entry(offer, entry)]
    if not choosing:
        raise CommandError(f"{name} has no weights here: `smart-filter models pull {name}`")
    return [_BenchTarget(offer, name, {ENTRY_PARAMETER: entry}) for offer in choosing]


def _has_entry(offer: Offer, entry: str) -> bool:
    parameter = offer.card.parameter(ENTRY_PARAMETER)
    return parameter is not None and entry in parameter.choices
