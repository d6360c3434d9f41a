"""Models that a command runs by itself, without a server."""

from collections.abc import Iterable
from pathlib import Path

from smart_filter_deploy.cli import weights
from smart_filter_deploy.cli.endings import WRONG_USAGE, Ending
from smart_filter_deploy.cli.terminal import tell
from smart_filter_shared import settings
from smart_filter_shared.cards import ENTRY, ModelCard, Offer, TaskName
from smart_filter_shared.errors import SetupFailed
from smart_filter_shared.parameters import Parameters, Scalar
from smart_filter_shared.pipeline import StageName
from smart_filter_workers import catalogue
from smart_filter_workers.catalogue import Catalogue

AUTO = "auto"


def known() -> Catalogue:
    """Return the models of this installation, as its settings let them run.  Raises SetupFailed."""
    return catalogue.find(research=settings.engine().research_weights)


def task_of(task: str) -> TaskName:
    """Return the task of this name."""
    return TaskName(task)


def default_first(task: str, models: str | None) -> list[str]:
    """Return the default model of a task, and after it those of a comma list, each once.

    Ends the command when a name is no model's, with the list of what there is.
    """
    cards = _cards(task)
    default = next(card.name for card in cards if card.default)
    return list(dict.fromkeys([default, *named(task, models or AUTO)]))


def named(task: str, models: str) -> list[str]:
    """Return the models of a comma list, each once; `auto` is the default.

    Ends the command when a name is no model's, with the list of what there is, and when one is
    turned off.
    """
    cards = _cards(task)
    there_are = {card.name for card in cards}
    refusals = {card.name: known().refusal(card) for card in cards}
    default = next(card.name for card in cards if card.default)
    names = [name.strip() for name in models.split(",")]
    for name in names:
        if name != AUTO and name not in there_are:
            listed = ", ".join(sorted(there_are))
            raise Ending(f"{task} has no model {name!r}; there are {listed}", WRONG_USAGE)
        if refusals.get(name) is not None:
            raise Ending(f"{name} is {refusals[name]}", WRONG_USAGE)
    return list(dict.fromkeys(default if name == AUTO else name for name in names))


def runnable(task: str, folder: Path) -> list[str]:
    """Return the models of a task that this machine can run, the default first."""
    able = [offer.card for offer in _offers(task, folder) if offer.fault is None]
    return [card.name for card in sorted(able, key=lambda card: (not card.default, card.name))]


def weights_of(task: str, models: Iterable[str], folder: Path) -> Path:
    """Return the folder of weights, after fetching what the models and `prepare` lack in it."""
    wanted = {*models}
    needed = [
        weight
        for card in known().cards
        if (card.task == task and card.name in wanted) or card.stage == StageName.PREPARE
        for weight in card.weights
    ]
    if any(not (folder / weight.name).is_file() for weight in needed):
        weights.fetch(folder, lambda message: tell(message, err=True))
    return folder


def with_parameters(
    task: str, models: Iterable[str], assignments: Iterable[str], folder: Path
) -> dict[str, Parameters]:
    """Return the models, each with those of its parameters that are not at their defaults.

    assignments: as `MODEL.PARAMETER=VALUE`.  Ends the command when one of them fits no model.
    """
    offers = {offer.card.name: offer.card for offer in _offers(task, folder)}
    given: dict[str, dict[str, Scalar]] = {name: _entry_of(offers[name]) for name in models}
    for text in assignments:
        place, equals, value = text.partition("=")
        name, _, wanted = place.partition(".")
        parameter = offers[name].parameter(wanted) if name in given else None
        if not equals or parameter is None:
            there_are = [f"{one}.{each.name}" for one in given for each in offers[one].parameters]
            listed = ", ".join(there_are) or "nothing"
            raise Ending(f"--set {text}: expected MODEL.PARAMETER=VALUE of {listed}", WRONG_USAGE)
        try:
            given[name][wanted] = parameter.read(value)
        except ValueError as error:
            raise Ending(f"--set {place}: {error}", WRONG_USAGE) from error
    return dict(given)


def ensure_runnable(task: str, models: Iterable[str], folder: Path) -> None:
    """Raise SetupFailed, with the remedy, for the first model that cannot run here."""
    faults = {offer.card.name: offer.fault for offer in _offers(task, folder)}
    for name in models:
        fault = faults[name]
        if fault is not None:
            raise SetupFailed(fault)


def _entry_of(card: ModelCard) -> dict[str, Scalar]:
    """Return which of its files of weights a model uses, where it has several to choose from."""
    entry = card.parameter(ENTRY)
    return {} if entry is None else {ENTRY: entry.default}


def _offers(task: str, folder: Path) -> list[Offer]:
    return [offer for offer in known().offers(folder) if offer.card.task == task]


def _cards(task: str) -> list[ModelCard]:
    return [card for card in known().cards if card.task == task]
