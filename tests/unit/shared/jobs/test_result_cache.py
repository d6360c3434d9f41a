import dataclasses
import datetime as dt
from collections.abc import Sequence
from typing import Any

import pytest

from smart_filter_shared.catalog import parameters
from smart_filter_shared.catalog.model_card import ModelCard, WeightsFile
from smart_filter_shared.jobs import result_cache
from smart_filter_shared.model_registry import stage_plan
from smart_filter_shared.model_registry.published_models import PublishedModel
from smart_filter_shared.pipeline import StageName, TaskName
from smart_filter_shared.priority import Priority
from smart_filter_shared.recipe import (
    Background,
    BackgroundKind,
    Edge,
    Framing,
    Logo,
    Output,
    PersonSelection,
    Recipe,
)
from smart_filter_shared.recipe.document_photos import find_document
from smart_filter_shared.recipe.look import Filter
from smart_filter_shared.stock import Picture
from smart_filter_tests.serving import a_card
from smart_filter_tests.stages import COMPOSITE, FACE, SEGMENTATION, SMILE

ASKED = Recipe(background=Background(BackgroundKind.AUTO))


def cache_keys_of(
    recipe: Recipe = ASKED, pictures: Sequence[Picture] = (), **changed: ModelCard
) -> dict[StageName, str]:
    """Return the cache keys of a recipe's stages; changed: other cards, by their tasks."""
    cards = [changed.get(task, a_card(task)) for task in TaskName]
    known = [PublishedModel(card, offered=True) for card in cards]
    return result_cache.cache_keys(recipe, stage_plan.plan_stages(known, recipe), known, pictures)


def differing(other: dict[StageName, str]) -> set[StageName]:
    return {stage for stage, work in cache_keys_of().items() if other.get(stage) != work}


RED = Background(BackgroundKind.COLOR, "red")


@pytest.mark.parametrize(
    ("changed", "differing_stages"),
    [
        # Read by composite alone.
        ({"quality": 50}, set()),
        ({"seed": 7}, set()),
        ({"metadata": {"who": "ours"}}, set()),
        ({"outputs": (Output.IMAGE, Output.MATTE)}, set()),
        ({"background": RED, "outputs": (Output.RATING,)}, set()),
        ({"persons": PersonSelection.LARGEST}, {SEGMENTATION}),
        ({"require_person": True}, {SEGMENTATION}),
        ({"edge": Edge.BEST}, {SEGMENTATION}),
        ({"edge": Edge.FAST}, {SEGMENTATION}),
        ({"outputs": (Output.IMAGE, Output.PERSONS)}, {SEGMENTATION}),
        ({"params": {TaskName.SEGMENTATION: {"threshold": 0.7}}}, {SEGMENTATION}),
    ],
)
def test_field_changes_the_cache_keys_of_the_stages_that_read_it(
    changed: dict[str, Any], differing_stages: set[StageName]
) -> None:
    threshold = parameters.number("threshold", 0.5, "Which levels count", least=0, most=1)
    segmenter = dataclasses.replace(
        a_card(TaskName.SEGMENTATION), instances=True, parameters=(threshold,)
    )

    ours = cache_keys_of(ASKED, segmentation=segmenter)
    theirs = cache_keys_of(dataclasses.replace(ASKED, **changed), segmentation=segmenter)

    assert {stage for stage in ours if ours[stage] != theirs.get(stage)} == differing_stages


def test_other_version_or_weights_change_the_cache_keys_of_all_later_stages() -> None:
    newer = dataclasses.replace(a_card(TaskName.FACE), version="2")
    file = WeightsFile("smile.bin", "0" * 64)
    other = dataclasses.replace(a_card(TaskName.EYES), weights=(file,))

    assert differing(cache_keys_of(face=newer)) == {FACE, SMILE}
    assert differing(cache_keys_of(eyes=other)) == {SMILE}


SEEDED = Recipe(background=Background(BackgroundKind.AUTO), seed=5)
PICTURE = Picture(
    None, "beach", "Beach", (), (), (), 0.5, "", "a-key", "0" * 64, width=9, height=9, length=9
)


@pytest.mark.parametrize(
    ("changed", "is_same"),
    [
        ({"quality": 50}, False),
        ({"seed": 6}, False),
        ({"background": RED}, False),
        ({"outputs": (Output.IMAGE, Output.MATTE)}, False),
        ({"filters": (Filter("sparkle"),)}, False),
        ({"logo": Logo("site/acme")}, False),
        ({"metadata": {"who": "ours"}}, True),
        ({"priority": Priority.BATCH, "deadline_ms": 60_000}, True),
        ({"run_at": dt.datetime(2027, 1, 1, tzinfo=dt.UTC)}, True),
    ],
)
def test_cache_key_of_a_picture_covers_what_its_stage_reads(
    changed: dict[str, Any], *, is_same: bool
) -> None:
    ours, theirs = cache_keys_of(SEEDED), cache_keys_of(dataclasses.replace(SEEDED, **changed))

    assert (ours[COMPOSITE] == theirs[COMPOSITE]) is is_same


def test_order_of_outputs_does_not_change_the_cache_key_of_a_picture() -> None:
    asked = (Output.IMAGE, Output.MATTE, Output.FACES)
    ours, theirs = (
        cache_keys_of(dataclasses.replace(SEEDED, outputs=outputs))
        for outputs in (asked, asked[::-1])
    )

    assert ours == theirs


@pytest.mark.parametrize(
    ("background", "seed", "is_cached"),
    [
        (Background(BackgroundKind.AUTO), None, False),
        (Background(BackgroundKind.AUTO), 5, True),
        (Background(BackgroundKind.PRESET, "linen"), None, False),
        (Background(BackgroundKind.TRANSPARENT), None, True),
        (RED, None, True),
        (Background(BackgroundKind.FILE), 5, False),
        (Background(BackgroundKind.URL, "https://example.org/a.jpg"), 5, False),
    ],
)
def test_picture_is_cached_if_its_recipe_determines_it(
    background: Background, seed: int | None, *, is_cached: bool
) -> None:
    works = cache_keys_of(Recipe(background=background, seed=seed))

    assert (COMPOSITE in works) is is_cached


def test_other_picture_backgrounds_change_the_cache_key_of_a_chosen_background() -> None:
    other = dataclasses.replace(PICTURE, key="another-key")
    chosen = [cache_keys_of(SEEDED, pictures) for pictures in ([], [PICTURE], [other])]
    red = dataclasses.replace(SEEDED, background=RED)

    assert len({works[COMPOSITE] for works in chosen}) == len(chosen)
    assert cache_keys_of(red, [PICTURE]) == cache_keys_of(red)


def test_other_picture_of_the_same_logo_changes_the_cache_key() -> None:
    logo = dataclasses.replace(PICTURE, name="acme", is_logo=True)
    other = dataclasses.replace(logo, key="another-key")
    asked = Recipe(background=RED, logo=Logo("site/acme"))

    first, second, same = (
        cache_keys_of(asked, [*more, picture])[COMPOSITE]
        for picture, more in ((logo, ()), (other, ()), (logo, (PICTURE,)))
    )

    assert first != second
    assert first == same


def test_picture_of_a_document_follows_its_row() -> None:
    row = find_document("us")
    before, after = (
        cache_keys_of(Recipe(framing=Framing(document=document), background=RED, seed=1))
        for document in (row, dataclasses.replace(row, head=(20.0, 30.0)))
    )

    assert before[COMPOSITE] != after[COMPOSITE]
    assert before[SEGMENTATION] == after[SEGMENTATION]
