"""What a type checker, an editor and `help` see of the client."""

import importlib
import inspect
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

import smart_filter_client
from smart_filter_client import AsyncClient, Client, Format, JobState, OutputName
from smart_filter_client import Recipe as ClientRecipe
from smart_filter_client.models import StageState
from smart_filter_shared.queue import states
from smart_filter_shared.recipe import Format as ServerFormat
from smart_filter_shared.recipe import Output
from smart_filter_shared.recipe.recipe import declared_fields

CLIENT = Path(smart_filter_client.__file__).parents[1]


def methods(client: type) -> dict[str, object]:
    return {
        name: value
        for name, value in vars(client).items()
        if inspect.isfunction(value) and not name.startswith("_")
    }


def test_generated_files_are_what_their_generators_write(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(CLIENT)
    client = importlib.import_module("generate_client")
    recipe = importlib.import_module("generate_recipe")

    for kind in (client.BLOCKING, client.AWAITED):
        assert kind.file.read_text() == client.generate(kind), "run: make client"
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
    assert [this, photo, recipe] == ["self", "photo", "recipe"]
    assert "idempotency_key" in rest
    assert signature.return_annotation is smart_filter_client.Job


def test_recipe_says_what_each_field_means() -> None:
    hints = get_type_hints(ClientRecipe, include_extras=True)

    for name, field in declared_fields().items():
        assert hints[name].__metadata__ == (field.help,)


@pytest.mark.parametrize(
    ("words", "service"),
    [
        (JobState, states.JobState),
        (StageState, states.StageState),
        (OutputName, Output),
        (Format, ServerFormat),
    ],
    ids=lambda one: getattr(one, "__name__", None),
)
def test_words_are_those_of_the_service(words: object, service: type) -> None:
    assert set(get_args(words)) == {str(one) for one in service}
