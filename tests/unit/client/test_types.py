"""What a type checker, an editor and `help` see of the client."""

import importlib
import inspect
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

import smart_filter_client
from smart_filter_client import AsyncClient, Client
from smart_filter_client import Recipe as ClientRecipe
from smart_filter_shared.queue import states
from smart_filter_shared.queue.batches import BatchState
from smart_filter_shared.rating import SmileLevel
from smart_filter_shared.recipe import Output
from smart_filter_shared.recipe.recipe import declared_fields
from smart_filter_shared.webhooks.outbox import DeliveryState
from smart_filter_wire import words

CLIENT = Path(smart_filter_client.__file__).parents[1]


def methods(client: type) -> dict[str, object]:
    return {
        name: value
        for name, value in vars(client).items()
        if inspect.isfunction(value) and not name.startswith("_")
    }


def test_recipe_is_what_its_generator_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(CLIENT)
    recipe = importlib.import_module("generate_recipe")

    assert recipe.FILE.read_text() == recipe.generate(), "run: make client"


def test_both_clients_have_the_same_methods() -> None:
    blocking, awaited = methods(Client), methods(AsyncClient)

    assert blocking.keys() - {"close"} == awaited.keys() - {"aclose"}
    for name in blocking.keys() - {"close"}:
        mine = inspect.signature(blocking[name]).parameters
        theirs = inspect.signature(awaited[name]).parameters
        assert mine == theirs, name
        assert inspect.getdoc(blocking[name]) == inspect.getdoc(awaited[name])


@pytest.mark.parametrize("client", [Client, AsyncClient])
def test_signature_shows_parameters_and_what_is_returned(client: type) -> None:
    signature = inspect.signature(client.submit)

    this, photo, recipe, *rest = signature.parameters
    assert [this, photo, recipe] == ["client", "photo", "recipe"]
    assert "idempotency_key" in rest
    assert signature.return_annotation is smart_filter_client.Job


def test_recipe_says_what_each_field_means() -> None:
    hints = get_type_hints(ClientRecipe, include_extras=True)

    for name, field in declared_fields().items():
        assert hints[name].__metadata__ == (field.help,)


@pytest.mark.parametrize(
    ("answered", "service"),
    [
        (words.JobState, states.JobState),
        (words.StageState, states.StageState),
        (words.BatchState, BatchState),
        (words.DeliveryState, DeliveryState),
        (words.SmileLevel, SmileLevel),
        (words.OutputName, Output),
    ],
    ids=lambda one: getattr(one, "__name__", None),
)
def test_words_of_answers_are_those_of_the_service(answered: object, service: type) -> None:
    literal, described = get_args(answered)

    assert get_args(literal) == tuple(str(word) for word in service)
    assert described.description == inspect.getdoc(service)
