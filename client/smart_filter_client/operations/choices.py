"""Choices: many photos by a query, and actions that the server does on them in steps."""

import dataclasses
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Literal

from smart_filter_client.http import exchange
from smart_filter_client.http.connection import Connection, Request, path
from smart_filter_client.operations import outputs
from smart_filter_client.operations.jobs import list_cleared, to_form_fields
from smart_filter_client.reading import read_answer
from smart_filter_client.recipe import NO_FIELDS, Recipe
from smart_filter_wire.batches import Choice, ChoiceStep

ChoiceAction = Literal["delete", "cancel", "redrive", "discard", "derive"]


async def choose(
    client: Connection,
    photos: Sequence[str] | None = None,
    *,
    state: Literal["succeeded", "failed", "unfinished"] | None = None,
    name: str | None = None,
    without: Sequence[str] = (),
) -> Choice:
    """Choose photos; return the choice, which the server keeps for a day.

    photos: their jobs; None: all photos, or with state or name those whose newest version has it.
    without: jobs whose photos are left out.
    """
    query = {"state": state, "name": name}
    body = {
        **{key: value for key, value in query.items() if value is not None},
        **({"all": True} if photos is None else {"photos": list(photos)}),
        "except": list(without),
    }
    return await exchange.send(client, Choice, "POST", "choices", json=body)


async def choice(client: Connection, choice_id: str) -> Choice:
    """Return a choice with its numbers of now."""
    return await exchange.get(client, Choice, "choices", choice_id)


async def act_on_choice(
    client: Connection, choice_id: str, action: ChoiceAction, recipe: Recipe = NO_FIELDS
) -> AsyncGenerator[ChoiceStep]:
    """Do an action on all photos of a choice; yield each step that the server has done.

    delete: can be undone by `restore_choice` for a minute.  derive: with a recipe, as `derive`.
    discard: deletes the versions made since the choice that have not succeeded.
    """
    body = {"recipe": {**to_form_fields(recipe), **dict.fromkeys(list_cleared(recipe))}}
    request = Request(
        method="POST",
        path=path("choices", choice_id, action),
        json=body if action == "derive" else None,
    )
    while True:
        step = read_answer(ChoiceStep, await exchange.post(client, request))
        yield step
        if step.next_cursor is None:
            return
        request = dataclasses.replace(request, params={"cursor": step.next_cursor})


async def restore_choice(client: Connection, choice_id: str) -> Choice:
    """Bring back what a choice has deleted within the last minute.  Raises Gone: it is too late."""
    return await exchange.send(client, Choice, "POST", "choices", choice_id, "restore")


async def download_choice(
    client: Connection, choice_id: str, to: Path, *, filename: str = "{name}"
) -> Path:
    """Write the finished pictures of a choice to one zip; return its path.

    filename: of the names in it, as in a recipe.  Raises OSError when it cannot be written.
    """
    request = Request(
        method="GET", path=path("choices", choice_id, "zip"), params={"filename": filename}
    )
    return await outputs.save(client, request, to)
