"""Models that a command runs by itself, without a server."""

from collections.abc import Sequence
from pathlib import Path

import click

from smart_filter_deploy.cli import weights
from smart_filter_deploy.cli.endings import WRONG_USAGE, Ending
from smart_filter_shared.cards import ModelCard, TaskName
from smart_filter_workers import catalogue

AUTO = "auto"


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

    Ends the command when a name is no model's, with the list of what there is.
    """
    cards = _cards(task)
    known = {card.name for card in cards}
    default = next(card.name for card in cards if card.default)
    names = [name.strip() for name in models.split(",")]
    for name in names:
        if name != AUTO and name not in known:
            raise Ending(
                f"{task} has no model {name!r}; there are {', '.join(sorted(known))}", WRONG_USAGE
            )
    return list(dict.fromkeys(default if name == AUTO else name for name in names))


def runnable(task: str, folder: Path) -> list[str]:
    """Return the models of a task that this machine can run, the default first."""
    offers = [offer for offer in catalogue.find().offers(folder) if offer.card.task == task]
    able = [offer.card for offer in offers if offer.fault is None]
    return [card.name for card in sorted(able, key=lambda card: (not card.default, card.name))]


def weights_of(task: str, models: Sequence[str], folder: Path) -> Path:
    """Return the folder of weights, after fetching what the models and `prepare` lack in it."""
    wanted = {*models}
    files = catalogue.find().files
    needed = [
        weight
        for (its_task, name), file in files.items()
        if (its_task == task and name in wanted) or its_task == TaskName.PREPARE
        for weight in file.CARD.weights
    ]
    if any(not (folder / weight.name).is_file() for weight in needed):
        weights.fetch(folder, lambda message: click.echo(message, err=True))
    return folder


def _cards(task: str) -> list[ModelCard]:
    return [file.CARD for (its_task, _), file in catalogue.find().files.items() if its_task == task]
