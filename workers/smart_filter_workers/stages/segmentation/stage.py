"""Segmentation: which pixels are people."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypedDict

import numpy as np

from smart_filter_shared.errors import NoPerson
from smart_filter_shared.recipe import Output, Recipe, Whom
from smart_filter_workers import images
from smart_filter_workers.results import Matte8, Prepared, Segmented
from smart_filter_workers.stages.segmentation import owners, region_of_interest, steps
from smart_filter_workers.stages.segmentation.models.base import People, Segmenter

# Less than this share of a photo is nobody: the contract says so.
NOBODY_BELOW: Final = 0.005
# A pixel is a person's when the matte is above one half.
HALF: Final = 127.5


class Models(TypedDict):
    """The models of this stage, by task."""

    segmentation: Segmenter


@dataclass(frozen=True, slots=True)
class Inputs:
    """What the stage reads of one job."""

    prepared: Prepared
    recipe: Recipe


def run(models: Models, batch: Sequence[Inputs]) -> list[Segmented]:
    """Cut out the people of each photo.

    Raises NoPerson when a recipe requires a person and nobody is in its photo.
    """
    found = models["segmentation"]([inputs.prepared for inputs in batch])
    return [_result(people, inputs) for people, inputs in zip(found, batch, strict=True)]


def _result(people: People, inputs: Inputs) -> Segmented:
    recipe = inputs.recipe
    if recipe.framing.roi is not None:
        people = region_of_interest.within(people, recipe.framing.roi, inputs.prepared)
    kept = owners.kept(people, recipe.persons)
    matte = _matte(people, kept, recipe)
    is_one_by_one = people.persons is not None or recipe.persons != Whom.ALL
    asked_why = Output.DEBUG in recipe.outputs and people.steps
    coverage = coverage_of(matte)
    if recipe.require_person and coverage < NOBODY_BELOW:
        raise NoPerson(
            f"nobody was found, and require_person is set: people cover {coverage:.2%} of the "
            f"photo; from {NOBODY_BELOW:.1%} on somebody is there"
        )
    return Segmented(
        matte=matte,
        coverage=coverage,
        persons=len(kept) if is_one_by_one else None,
        confidence=people.confidence,
        needs_review=people.needs_review,
        stronger=people.stronger,
        debug=images.encode_png(steps.sheet(people.steps)) if asked_why else None,
        owners=owners.owners(kept, like=matte) if Output.PERSONS in recipe.outputs else None,
        found=owners.found(people, kept, inputs.prepared),
    )


def _matte(people: People, kept: Mapping[int, Matte8], recipe: Recipe) -> Matte8:
    """Return the matte of the persons that are wanted."""
    if recipe.persons == Whom.ALL:
        return people.matte
    return np.maximum.reduce(list(kept.values())) if kept else np.zeros_like(people.matte)


def coverage_of(matte: Matte8) -> float:
    """Return the share, 0..1, of a (h, w) uint8 matte that is above one half."""
    return float(np.count_nonzero(matte > HALF)) / matte.size
