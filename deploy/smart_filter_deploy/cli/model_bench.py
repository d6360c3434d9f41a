"""Measures what models cost on this machine, and tells it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.status import Status
from rich.table import Table
from rich.text import Text

from smart_filter_deploy.cli import local_models
from smart_filter_deploy.cli.console import Console
from smart_filter_deploy.cli.endings import WRONG_USAGE, Ending
from smart_filter_deploy.cli.report import print_table
from smart_filter_shared.cards import ENTRY, Offer
from smart_filter_shared.errors import FolderUnreadable, SetupFailed
from smart_filter_shared.parameters import Parameters
from smart_filter_workers.evaluation import timing
from smart_filter_workers.evaluation.tasks import TASKS
from smart_filter_workers.evaluation.timing import Sample, Timing


@dataclass(frozen=True, slots=True)
class Measured:
    """What a model cost, or why it did not run.

    name: the model's, with its entry when one was named.
    """

    task: str
    name: str
    version: str
    timing: Timing | None
    fault: str | None = None

    @property
    def document(self) -> dict[str, object]:
        """What --json tells."""
        told: dict[str, object] = {"task": self.task, "name": self.name, "version": self.version}
        if self.timing is None:
            return {**told, "fault": self.fault}
        return {
            **told,
            "cpu_ms": round(self.timing.cpu_ms, 2),
            "cpu_ms_p90": round(self.timing.slowest_cpu_ms, 2),
            "ms": round(self.timing.ms, 2),
            "peak_mb": round(self.timing.peak_mb, 1),
        }


@dataclass(frozen=True, slots=True)
class _Wanted:
    offer: Offer
    name: str
    parameters: Parameters


def measure(folder: Path, names: Sequence[str], *, photo: Path | None, runs: int) -> list[Measured]:
    """Measure the models of these names, or all that can run here.

    names: of a model, in every task that has one of it, or `MODEL/ENTRY`.
    Ends the command when a name is nobody's or the photo cannot be read.
    """
    # Whatever is measured, `prepare` runs first, and finds the faces to look at.
    local_models.weights_of("", (), folder)
    offers = [one for one in local_models.known().offers(folder) if one.card.task in TASKS]
    wanted = [one for name in names for one in _named(offers, name)]
    if not names:
        wanted = [_Wanted(one, one.card.name, {}) for one in offers if one.fault is None]
    try:
        with timing.sampled(photo, folder) as sample, Status("", console=_quiet()) as status:
            measured = []
            for one in wanted:
                status.update(f"{one.offer.card.task} {one.name}")
                measured.append(_measured(one, sample, folder, runs))
            return measured
    except FolderUnreadable as error:
        raise Ending(str(error), WRONG_USAGE) from error


def show(console: Console, measured: Sequence[Measured]) -> None:
    """Print what the models cost."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("task", no_wrap=True)
    table.add_column("model", no_wrap=True)
    for column in ("CPU ms", "p90", "ms", "peak MB"):
        table.add_column(column, justify="right", no_wrap=True)
    for one in measured:
        if one.timing is None:
            table.add_row(one.task, Text(one.name, "bold red"), Text(one.fault or "", "red"))
            continue
        figures = (one.timing.cpu_ms, one.timing.slowest_cpu_ms, one.timing.ms)
        table.add_row(
            one.task,
            Text(one.name, "bold"),
            *(f"{figure:.1f}" for figure in figures),
            f"{one.timing.peak_mb:.0f}",
        )
    print_table(console, table)


def _measured(wanted: _Wanted, sample: Sample, folder: Path, runs: int) -> Measured:
    card, fault = wanted.offer.card, wanted.offer.fault
    if fault is not None:
        return Measured(card.task, wanted.name, card.version, None, fault)
    entry = card.parameter(ENTRY)
    parameters = {ENTRY: entry.default} if entry is not None else {}
    try:
        took = timing.time_model(
            card.task,
            card.name,
            {**parameters, **wanted.parameters},
            sample,
            weights=folder,
            runs=runs,
        )
    except SetupFailed as error:
        return Measured(card.task, wanted.name, card.version, None, str(error))
    return Measured(card.task, wanted.name, card.version, took)


def _named(offers: Sequence[Offer], name: str) -> list[_Wanted]:
    model, slash, entry = name.partition("/")
    found = [one for one in offers if one.card.name == model]
    if not found:
        known = ", ".join(sorted({one.card.name for one in offers}))
        raise Ending(f"there is no model {model!r}; there are {known}", WRONG_USAGE)
    if not slash:
        return [_Wanted(one, name, {}) for one in found]
    choosing = [one for one in found if _has_entry(one, entry)]
    if not choosing:
        raise Ending(f"{name} has no weights here: `smart-filter models pull {name}`", WRONG_USAGE)
    return [_Wanted(one, name, {ENTRY: entry}) for one in choosing]


def _has_entry(offer: Offer, entry: str) -> bool:
    parameter = offer.card.parameter(ENTRY)
    return parameter is not None and entry in parameter.choices


def _quiet() -> Console:
    return Console(stderr=True)
