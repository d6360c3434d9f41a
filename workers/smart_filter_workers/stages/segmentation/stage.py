"""Segmentation stage: find the pixels that show people."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypedDict

import numpy as np

from smart_filter_shared.errors import NoPerson
from smart_filter_shared.recipe import Output, PersonSelection, Recipe, Subject
from smart_filter_shared.results import MIN_PEOPLE_SHARE
from smart_filter_wire.findings import PersonRole
from smart_filter_workers import images
from smart_filter_workers.opencv import cv2
from smart_filter_workers.resampling import shrink
from smart_filter_workers.results import HALF_LEVEL, Matte8, PreparedPhoto, Segmentation
from smart_filter_workers.stages.segmentation import regions, step_sheet
from smart_filter_workers.stages.segmentation.mattes import attached_things
from smart_filter_workers.stages.segmentation.models.base import (
    OutlineRefiner,
    People,
    Segmenter,
)
from smart_filter_workers.stages.segmentation.people import separation
from smart_filter_workers.stages.segmentation.people.person_selection import (
    find_bystanders,
    select_persons,
)

# Longest side of the map of evidence, whose margin is wider than one of its pixels.
EVIDENCE_SIDE_PX: Final = 320


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


def find_weak_result(result: object, recipe: Recipe) -> Segmentation | None:
    """Return a result that another model should replace, or None when it is good enough.

    Raises NoPerson when the recipe requires a person and the result has none.
    """
    if not isinstance(result, Segmentation):
        return None
    require_person(result, recipe)
    # What may be a person is not handed to a model that cuts out things.
    may_have_people = any(person.role == PersonRole.POSSIBLE for person in result.found or ())
    lacks_people = result.coverage < MIN_PEOPLE_SHARE and not may_have_people
    lacks_subject = recipe.subject == Subject.AUTO and not result.any_subject and lacks_people
    return result if lacks_subject or result.stronger is not None else None


def _result(people: People, inputs: Inputs) -> Segmentation:
    recipe = inputs.recipe
    if recipe.framing.roi is not None:
        people = regions.crop_people(people, recipe.framing.roi, inputs.prepared)
    bystanders = find_bystanders(people, inputs.prepared)
    kept = select_persons(people, recipe.persons, inputs.prepared, bystanders=bystanders)
    matte = _matte(people, kept, recipe)
    # Of all persons: a chosen one is kept whatever its size.
    coverage = measure_coverage(np.maximum(people.matte, matte)) if matte.any() else 0.0
    if coverage < MIN_PEOPLE_SHARE:
        kept = {}
    is_counted = people.persons is not None or recipe.persons != PersonSelection.ALL
    wants_steps = Output.DEBUG in recipe.outputs and people.steps
    return Segmentation(
        matte=matte,
        coverage=coverage,
        persons=len(kept) if is_counted else None,
        confidence=people.confidence,
        # Users who name persons have looked.
        needs_review=people.needs_review
        or (bool(people.possible) and not isinstance(recipe.persons, tuple)),
        stronger=people.stronger,
        any_subject=people.any_subject,
        lower_end=people.lower_end,
        outline_spread=people.outline_spread,
        unclaimed_share=people.unclaimed_share,
        debug=images.encode_png(step_sheet.draw_step_sheet(people.steps)) if wants_steps else None,
        owners=separation.build_instance_map(kept, like=matte)
        if Output.PERSONS in recipe.outputs
        else None,
        found=separation.locate_persons(people, kept, inputs.prepared, bystanders=bystanders),
        attached=attached_things.locate_attached(people, kept, inputs.prepared),
        evidence=_evidence(people, matte, recipe),
    )


def _matte(people: People, kept: Mapping[int, Matte8], recipe: Recipe) -> Matte8:
    """Return the matte of the selected persons."""
    if recipe.persons == PersonSelection.ALL:
        matte = people.matte
        for number, person in enumerate(people.persons or (), start=1):
            if number not in kept:
                matte = np.where(person > 0, np.uint8(0), matte)
        return matte
    return np.maximum.reduce(list(kept.values())) if kept else np.zeros_like(people.matte)


def _evidence(people: People, matte: Matte8, recipe: Recipe) -> Matte8:
    """Return the small map of evidence, without what is nearer to a person whom users left out.

    Bystanders, whom no user left out, stay in it: they stay sharp as those whom no outline shows.
    """
    seen = people.matte if people.evidence is None else np.maximum(people.evidence, people.matte)
    small, kept, everyone = (
        shrink(level, longest_side=EVIDENCE_SIDE_PX) for level in (seen, matte, people.matte)
    )
    if recipe.persons == PersonSelection.ALL:
        return small
    dropped = (everyone > HALF_LEVEL) & (kept <= HALF_LEVEL)
    if not dropped.any():
        return small
    far, farther = (
        cv2.distanceTransform((~part).view(np.uint8), cv2.DIST_L2, 5)
        for part in (kept > HALF_LEVEL, dropped)
    )
    return np.where(far <= farther, small, np.uint8(0))


def measure_coverage(matte: Matte8) -> float:
    """Return the share, 0..1, of an (h, w) uint8 matte that is above one half."""
    return np.count_nonzero(matte > HALF_LEVEL) / matte.size
