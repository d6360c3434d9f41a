"""Ensemble: several models' mattes joined into one, with a measure of their agreement.

Models that agree are rarely all wrong. Where they differ, a person or a stronger model should look
at the photo.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from smart_filter_shared.catalog import parameters as given
from smart_filter_shared.catalog.model_card import (
    MEMBERS_PARAMETER,
    STRONGER_PARAMETER,
    WEIGHTS_PARAMETER,
    Commercial,
    ModelCard,
)
from smart_filter_shared.catalog.parameters import Parameters
from smart_filter_shared.pipeline import TaskName
from smart_filter_workers.results import HALF_LEVEL, Matte8, PreparedPhoto
from smart_filter_workers.stages.segmentation.mattes.consensus import join_mattes, mean_agreement
from smart_filter_workers.stages.segmentation.models.base import People, Segmenter
from smart_filter_workers.stages.segmentation.people import separation


class LowAgreementAction(StrEnum):
    """The action for a photo on which the members' agreement is too low."""

    REVIEW = "review"
    ESCALATE = "escalate"


_NAME: Final = "[a-z0-9-]{1,40}"
_WEIGHT: Final = r"[0-9]{1,3}(?:\.[0-9]{1,3})?"

CARD: Final = ModelCard(
    name="ensemble",
    version="1",
    task=TaskName.SEGMENTATION,
    family="ensemble",
    title="Several models' mattes joined into one, with their agreement",
    source="the members' sources",
    license="Apache-2.0",
    data_terms="the members' terms",
    commercial=Commercial.YES,
    # Its default members, mean IoU at one half: 41 photos in the wild, 55 of street
    # fashion, 62 portraits.
    quality={"iou_wild": 0.650, "iou_street": 0.947, "iou_portrait": 0.963},
    speed={"cpu_ms": 179.0, "peak_mb": 367.0},
    parameters=(
        given.text(
            MEMBERS_PARAMETER,
            "people,selfie,silhouettes",
            "Models whose mattes are joined",
            longest=200,
            pattern=rf"{_NAME}(?:, ?{_NAME}){{1,4}}",
            form="two to five names of models, such as people,selfie,silhouettes",
        ),
        given.text(
            WEIGHTS_PARAMETER,
            "",
            "Weight of each member; empty: all equal",
            longest=60,
            pattern=rf"(?:{_WEIGHT}(?:, ?{_WEIGHT}){{1,4}})?",
            form="a weight for each member, such as 2,1,1",
        ),
        # On training photos this catches 46 of 49 masks below 0.8 IoU, and flags 24 of 187 good
        # ones of portraits and street fashion. Other values: docs/measurements.md, "Agreement".
        given.number(
            "agreement", 0.91, "Least mean overlap (IoU) of all pairs", least=0.0, most=1.0
        ),
        given.choice(
            "below",
            LowAgreementAction.REVIEW,
            "Action when the agreement is lower",
            choices=tuple(LowAgreementAction),
        ),
        given.text(
            STRONGER_PARAMETER,
            "detectron2",
            "The model that escalated photos go to",
            longest=40,
            pattern=f"(?:{_NAME})?",
            form="the name of a model, or nothing",
        ),
    ),
    combines=True,
    instances=True,
)


def load(weights: Path, others: Callable[[str], Segmenter]) -> "Ensemble":  # noqa: ARG001 - all models share one signature
    """Return the model; its members are loaded when a recipe names them."""
    return Ensemble(others)


@dataclass(frozen=True, slots=True)
class Ensemble:
    """Joins the mattes of other models.

    others: returns another model of the task by name.
    """

    others: Callable[[str], Segmenter]

    def __call__(self, batch: Sequence[PreparedPhoto], *, parameters: Parameters) -> list[People]:
        """Return the joint matte of each picture, with the members' agreement.

        Raises ValueError when the numbers of weights and members differ, or all weights are 0.
        """
        names = _split_list(given.str_of(parameters, MEMBERS_PARAMETER))
        texts = _split_list(given.str_of(parameters, WEIGHTS_PARAMETER))
        weights = [float(text) for text in texts] or [1.0] * len(names)
        answers = [self.others(name)(batch) for name in names]
        return [_people(list(of_one), weights, parameters) for of_one in zip(*answers, strict=True)]


def _people(answers: Sequence[People], weights: Sequence[float], parameters: Parameters) -> People:
    mattes = [people.matte for people in answers]
    matte = join_mattes(mattes, weights)
    confidence = mean_agreement(mattes)
    is_unsure = confidence < given.float_of(parameters, "agreement")
    escalates = given.str_of(parameters, "below") == LowAgreementAction.ESCALATE
    return People(
        matte,
        persons=_persons(matte, answers),
        confidence=confidence,
        # Escalated photos too: if no pool serves the stronger model, a person reviews them.
        needs_review=is_unsure,
        stronger=given.str_of(parameters, STRONGER_PARAMETER) or None
        if is_unsure and escalates
        else None,
    )


def _persons(matte: Matte8, answers: Sequence[People]) -> tuple[Matte8, ...] | None:
    """Split the joint matte among the persons of the first member that separates them."""
    separated = next((people.persons for people in answers if people.persons), None)
    if separated is None:
        is_empty = not (matte > HALF_LEVEL).any()
        return () if is_empty and any(people.persons == () for people in answers) else None
    return separation.split_by_person(matte, [person > HALF_LEVEL for person in separated])


def _split_list(text: str) -> list[str]:
    return [part.strip() for part in text.split(",")] if text else []
