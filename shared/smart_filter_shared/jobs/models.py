"""The table of models: published by workers, read to validate and to answer."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, func, select
from sqlalchemy.dialects.postgresql import insert

from smart_filter_shared.cards import (
    LEADING_TASK,
    STAGE_OF_TASK,
    ModelCard,
    TaskName,
    WeightsFile,
)
from smart_filter_shared.db import tables
from smart_filter_shared.errors import FieldError, NotAvailable
from smart_filter_shared.ids import Capability
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.recipe import AUTO, Recipe, stages


def publish(connection: Connection, cards: Iterable[ModelCard]) -> None:
    """Say that these models are served; a newer card replaces an older one.

    Rows are written in the order of their keys, so that two publishers cannot deadlock.
    """
    for card in sorted(cards, key=lambda card: (card.task, card.name)):
        row = insert(tables.models).values(
            task=str(card.task),
            name=card.name,
            capability=card.capability,
            card=dataclasses.asdict(card),
            seen_at=func.statement_timestamp(),
        )
        connection.execute(
            row.on_conflict_do_update(
                index_elements=["task", "name"],
                set_={
                    "capability": row.excluded.capability,
                    "card": row.excluded.card,
                    "seen_at": row.excluded.seen_at,
                },
            )
        )


def published(connection: Connection) -> list[ModelCard]:
    """Return the cards of all models that are served, by task and name."""
    table = tables.models
    rows = connection.execute(select(table.c.card).order_by(table.c.task, table.c.name))
    return [_card(row.card) for row in rows]


def choose(
    cards: Iterable[ModelCard], recipe: Recipe
) -> tuple[
    dict[StageName, dict[TaskName, str]],
    dict[StageName, Capability],
]:
    """Return for each stage of a recipe its models by task, and the capability it needs.

    cards: those published.  Raises NotAvailable when no pool of workers serves a task.
    """
    offered = list(cards)
    models: dict[StageName, dict[TaskName, str]] = {}
    capabilities: dict[StageName, Capability] = {}
    running = stages(recipe)
    for task, stage in STAGE_OF_TASK.items():
        if stage not in running:
            continue
        card = _chosen(offered, task, recipe.models.get(task, AUTO))
        models.setdefault(stage, {})[task] = card.name
        if LEADING_TASK[stage] == task:
            capabilities[stage] = card.capability
    return models, capabilities


def _chosen(offered: list[ModelCard], task: TaskName, name: str) -> ModelCard:
    for card in offered:
        if card.task == task and (card.default if name == AUTO else card.name == name):
            return card
    names = ", ".join(card.name for card in offered if card.task == task) or "none"
    detail = f"no pool of workers offers {name}; offered: {names}. Start a worker for {task}"
    raise NotAvailable([FieldError(f"/{task}/model", detail)])


def _card(stored: Mapping[str, Any]) -> ModelCard:
    size = stored["input_size"]
    return ModelCard(
        **{
            **stored,
            "task": TaskName(stored["task"]),
            "weights": tuple(WeightsFile(**file) for file in stored["weights"]),
            "input_size": None if size is None else (size[0], size[1]),
            "devices": tuple(stored["devices"]),
        }
    )
