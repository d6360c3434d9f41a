"""Make the page about models: every card, with its parameters."""

from collections.abc import Iterable, Mapping

from smart_filter_docs.markdown import code, sections, sentence, table
from smart_filter_shared.catalog.model_card import ModelCard
from smart_filter_shared.catalog.parameters import Parameter
from smart_filter_shared.pipeline import TaskName
from smart_filter_workers.models import catalog

# Tasks without a choice: each has one model, which every job uses.
_UNCHOSEN = {TaskName.PREPARE, TaskName.COMPOSITE}


def page() -> str:
    """Return the page."""
    cards = catalog.discover_models().cards
    tasks = dict.fromkeys(card.task for card in cards if card.task not in _UNCHOSEN)
    parts = [
        part
        for task in tasks
        for part in (
            f"## {task}".replace("_", " "),
            *(_card(card) for card in _in_order(cards, task)),
        )
    ]
    return sections(
        "# Model cards",
        "The source, license, measured quality and parameters of each model. In a recipe,"
        " `segmentation.model=NAME` chooses a model, and `segmentation.params.PARAMETER=VALUE` sets"
        " a parameter. `smart-filter models list` lists the models of a server. docs/models.md"
        " explains how to fetch weights and add models, docs/measurements.md how the figures were"
        " measured.",
        *parts,
    )


def _in_order(cards: Iterable[ModelCard], task: str) -> list[ModelCard]:
    return sorted(
        (card for card in cards if card.task == task),
        key=lambda card: (not card.default, bool(card.requires), card.name),
    )


def _card(card: ModelCard) -> str:
    facts = {
        "version": card.version,
        "source": card.source,
        "license of the weights": card.license,
        "terms of their data": card.data_terms,
        "commercial": card.commercial,
        "pool of workers": code(card.capability),
        "measured quality": _figures(card.quality),
        "measured cost": _figures(card.speed),
        "needs": code(f"smart-filter[{card.extra}]") if card.extra else "",
    }
    return sections(
        f"### {card.name} {{ #{card.task}-{card.name} }}",
        f"{sentence(card.title)} {_standing(card)}",
        table(("", ""), [(name, value) for name, value in facts.items() if value]),
        table(
            ("parameter", "default", "allowed", "meaning"),
            [
                (
                    code(given.name),
                    code(_plain(given.default)),
                    _allowed(given),
                    sentence(given.title),
                )
                for given in card.parameters
            ],
        ),
    )


def _standing(card: ModelCard) -> str:
    sentences = []
    if card.default:
        sentences.append("**The default.**")
    if card.research:
        sentences.append(
            "Not all of code, weights and training data allow commercial use:"
            " `SMART_FILTER_RESEARCH_WEIGHTS=off` disables it."
        )
    if card.emotions:
        sentences.append("It reads emotions: `SMART_FILTER_EMOTIONS=off` disables it.")
    if card.stands_in:
        sentences.append("`auto` selects this model where such models are disabled.")
    return " ".join(sentences)


def _figures(figures: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in figures.items())


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _allowed(parameter: Parameter) -> str:
    if parameter.choices:
        return " ".join(code(choice) for choice in parameter.choices)
    if parameter.form:
        return parameter.form
    least, most = parameter.least, parameter.most
    if least is not None and most is not None:
        return f"{parameter.kind}, {least:g} to {most:g}"
    if least is not None:
        return f"{parameter.kind}, at least {least:g}"
    return f"{parameter.kind}, at most {most:g}" if most is not None else str(parameter.kind)
