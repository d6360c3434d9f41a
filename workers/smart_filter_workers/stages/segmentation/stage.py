"""Segmentation stage: find the pixels that show people."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np

from smart_filter_shared.errors import NoPerson
from smart_filter_shared.recipe import Output, PersonSelection, Recipe
from smart_filter_shared.results import MIN_PEOPLE_SHARE
from smart_filter_workers import images
from smart_filter_workers.results import HALF_LEVEL, Matte8, PreparedPhoto, Segmentation
from smart_filter_workers.stages.segmentation import region_of_interest, step_sheet
from smart_filter_workers.stages.segmentation.mattes import attached_things
from smart_filter_workers.stages.segmentation.models.base import (
    OutlineRefiner,
    People,
    Segmenter,
)
from smart_filter_workers.stages.segmentation.people import instance_map
from smart_filter_workers.stages.segmentation.people.person_selection import select_persons


class Models(TypedDict):
    """The models of this stage, by task."""

    segmentation: Segmenter


@dataclass(frozen=True, slots=True)
class Inputs:
    """The stage's inputs for one job."""

    prepared: PreparedPhoto
    recipe: Recipe


def run(models: Models, batch: Sequence[Inputs]) -> list[Segmentation]:
    """Return the segmentation of each photo."""
    segmenter = models["segmentation"]
    results = segmenter([inputs.prepared for inputs in batch])
    return [
        _result(
            segmenter.refine_outlines(people, inputs.prepared, inputs.recipe.edge)
            if isinstance(segmenter, OutlineRefiner)
            else people,
            inputs,
        )
        for people, inputs in zip(results, batch, strict=True)
    ]


def require_person(segmented: Segmentation, recipe: Recipe) -> None:
    """Raise NoPerson when a recipe requires a person and its photo shows none.

    It is no part of `run`, where one such photo would fail the pass of its whole batch.
    """
    if recipe.require_person and segmented.coverage < MIN_PEOPLE_SHARE:
        raise NoPerson(
            "no person was found, and require_person is set: people cover"
            f" {segmented.coverage:.2%} of the photo, less than the minimum of"
            f" {MIN_PEOPLE_SHARE:.1%}"
        )


def _result(people: People, inputs: Inputs) -> Segmentation:
    recipe = inputs.recipe
    if recipe.framing.roi is not None:
        people = region_of_interest.crop_people(people, recipe.framing.roi, inputs.prepared)
    kept = select_persons(people, recipe.persons, inputs.prepared)
    matte = _matte(people, kept, recipe)
    # Of all persons: a chosen one is kept whatever its size.
    coverage = measure_coverage(people.matte) if matte.any() else 0.0
    if coverage < MIN_PEOPLE_SHARE:
        kept = {}
    is_counted = people.persons is not None or recipe.persons != PersonSelection.ALL
    wants_steps = Output.DEBUG in recipe.outputs and people.steps
    return Segmentation(
        matte=matte,
        coverage=coverage,
        persons=len(kept) if is_counted else None,
        confidence=people.confidence,
        needs_review=people.needs_review,
        stronger=people.stronger,
        any_subject=people.any_subject,
        debug=images.encode_png(step_sheet.draw_step_sheet(people.steps)) if wants_steps else None,
        owners=instance_map.build_instance_map(kept, like=matte)
        if Output.PERSONS in recipe.outputs
        else None,
        found=instance_map.locate_persons(people, kept, inputs.prepared),
        attached=attached_things.locate_attached(people, kept, inputs.prepared),
    )


def _matte(people: People, kept: Mapping[int, Matte8], recipe: Recipe) -> Matte8:
    """Return the matte of the selected persons."""
    if recipe.persons == PersonSelection.ALL:
        return people.matte
    return np.maximum.reduce(list(kept.values())) if kept else np.zeros_like(people.matte)


def measure_coverage(matte: Matte8) -> float:
    """Return the share, 0..1, of an (h, w) uint8 matte that is above one half."""
    return float(np.count_nonzero(matte > HALF_LEVEL)) / matte.size
