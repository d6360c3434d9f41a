"""Models with research weights: turned off, others stand in for them, and nobody runs them."""

import dataclasses
import types
from pathlib import Path

import pytest

from smart_filter_shared.cards import ModelCard, TaskName
from smart_filter_shared.errors import ModelNotLoaded, SetupFailed
from smart_filter_tests.serving import a_card
from smart_filter_workers import catalogue, memory
from smart_filter_workers.catalogue import TURNED_OFF, Catalogue
from smart_filter_workers.loaded import LoadedModels

SMILE = TaskName.SMILE
LEARNED = dataclasses.replace(a_card(SMILE, "learned"), default=True, research=True)
MEASURED = dataclasses.replace(a_card(SMILE, "measured"), stands_in=True)
OTHER = a_card(SMILE, "other")
NOWHERE = Path("/nonexistent")


def a_file(card: ModelCard) -> types.SimpleNamespace:
    return types.SimpleNamespace(CARD=card, load=lambda _: card.name)


def known(*, research: bool) -> Catalogue:
    cards = (LEARNED, MEASURED, OTHER)
    return Catalogue({(card.task, card.name): a_file(card) for card in cards}, research=research)


@pytest.mark.parametrize(("research", "default"), [(True, "learned"), (False, "measured")])
def test_one_stands_in_for_a_default_that_is_turned_off(*, research: bool, default: str) -> None:
    cards = known(research=research).cards

    assert [card.name for card in cards if card.default] == [default]


def test_model_that_is_turned_off_is_withdrawn_with_the_reason() -> None:
    offers = {offer.card.name: offer for offer in known(research=False).offers(NOWHERE)}

    assert {name: (offer.fault, offer.withdrawn) for name, offer in offers.items()} == {
        "learned": (TURNED_OFF, True),
        "measured": (None, False),
        "other": (None, False),
    }
    assert known(research=False).card(SMILE, "measured", NOWHERE).default


def test_older_job_does_not_run_a_model_that_is_turned_off() -> None:
    models = LoadedModels(known(research=False), NOWHERE, room=memory.room(None))

    assert models.model(SMILE, "measured") == "measured"
    with pytest.raises(ModelNotLoaded, match=f"learned is {TURNED_OFF}") as caught:
        models.model(SMILE, "learned")
    assert (caught.value.leads, caught.value.capability) == (True, "smile.learned")


@pytest.mark.parametrize("research", [True, False])
def test_each_task_has_one_default_either_way(*, research: bool) -> None:
    defaults = {card.task: card for card in catalogue.find(research=research).cards if card.default}

    assert sorted(defaults) == sorted(TaskName)
    if not research:
        assert not any(card.research for card in defaults.values())
        assert defaults[SMILE].name == "geometry"


@pytest.mark.parametrize(
    ("card", "why"),
    [
        (a_card(SMILE), r"smile needs exactly one default model, has \["),
        (
            dataclasses.replace(a_card(SMILE, "too"), stands_in=True),
            r"smile needs exactly one default model without research weights, has \[",
        ),
    ],
)
def test_second_default_is_refused_either_way(card: ModelCard, why: str) -> None:
    module = types.ModuleType("extra")
    vars(module).update(vars(a_file(card)))

    with pytest.raises(SetupFailed, match=why):
        catalogue.find([module])
