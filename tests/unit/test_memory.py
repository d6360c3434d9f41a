"""What tells the work of a stage from other work."""

import dataclasses

import pytest

from smart_filter_shared.cards import ModelCard, TaskName, WeightsFile
from smart_filter_shared.jobs import memory, models
from smart_filter_shared.jobs.published import Published
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.recipe import Background, BackgroundKind, Output, Recipe, Whom
from smart_filter_tests.serving import a_card

PREPARE, SEGMENTATION, FACE, SMILE, COMPOSITE = StageName
ASKED = Recipe(background=Background(BackgroundKind.AUTO))


def works(recipe: Recipe = ASKED, **changed: ModelCard) -> dict[StageName, str]:
    """Return the work of a recipe's stages; changed: other cards, by their tasks."""
    cards = [changed.get(task, a_card(task)) for task in TaskName]
    known = [Published(card, offered=True) for card in cards]
    return memory.works(recipe, models.choose(known, recipe), known)


def differing(other: dict[StageName, str]) -> set[StageName]:
    return {stage for stage, work in works().items() if other.get(stage) != work}


def test_composite_is_never_remembered() -> None:
    assert set(works()) == {PREPARE, SEGMENTATION, FACE, SMILE}


@pytest.mark.parametrize(
    "recipe",
    [
        dataclasses.replace(ASKED, quality=50),
        dataclasses.replace(ASKED, seed=7),
        dataclasses.replace(ASKED, metadata={"who": "ours"}),
        dataclasses.replace(ASKED, outputs=(Output.IMAGE, Output.MATTE)),
        dataclasses.replace(
            ASKED, background=Background(BackgroundKind.COLOR, "red"), outputs=(Output.RATING,)
        ),
    ],
)
def test_what_only_composite_reads_makes_no_other_work(recipe: Recipe) -> None:
    assert differing(works(recipe)) == set()


@pytest.mark.parametrize(
    "recipe",
    [
        dataclasses.replace(ASKED, persons=Whom.LARGEST),
        dataclasses.replace(ASKED, require_person=True),
        dataclasses.replace(ASKED, outputs=(Output.IMAGE, Output.PERSONS)),
    ],
)
def test_what_segmentation_reads_is_its_work(recipe: Recipe) -> None:
    segmenter = dataclasses.replace(a_card(TaskName.SEGMENTATION), instances=True)

    ours, theirs = works(ASKED, segmentation=segmenter), works(recipe, segmentation=segmenter)

    assert {stage for stage in ours if ours[stage] != theirs[stage]} == {SEGMENTATION}


def test_another_version_makes_other_work_of_all_that_follows() -> None:
    newer = dataclasses.replace(a_card(TaskName.FACE), version="2")

    assert differing(works(face=newer)) == {FACE, SMILE}


def test_other_weights_of_one_version_make_other_work() -> None:
    file = WeightsFile("smile.bin", "0" * 64)
    other = dataclasses.replace(a_card(TaskName.EYES), weights=(file,))

    assert differing(works(eyes=other)) == {SMILE}


def test_parameters_are_part_of_the_work() -> None:
    card = a_card(TaskName.SEGMENTATION)
    known = [Published(a_card(task), offered=True) for task in TaskName]
    plans = models.choose(known, ASKED)
    told = dataclasses.replace(plans[SEGMENTATION], parameters={card.task: {"threshold": 0.7}})

    other = memory.works(ASKED, {**plans, SEGMENTATION: told}, known)

    assert differing(other) == {SEGMENTATION}
