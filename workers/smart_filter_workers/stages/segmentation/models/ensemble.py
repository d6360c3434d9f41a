"""Several models' mattes as one, and whether they agree.

Models that see the same are seldom all wrong: where they differ, somebody should look, or a
stronger model.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from smart_filter_shared import parameters as given
from smart_filter_shared.cards import MEMBERS, STRONGER, WEIGHTS, ModelCard, TaskName
from smart_filter_shared.parameters import Parameters
from smart_filter_workers.results import Matte8, Prepared
from smart_filter_workers.stages.segmentation import apart
from smart_filter_workers.stages.segmentation.agreement import HALF, joined, mean_agreement
from smart_filter_workers.stages.segmentation.models.base import People, Segmenter


class Below(StrEnum):
    """What becomes of a photo over which the members agree too little."""

    REVIEW = "review"
    ESCALATE = "escalate"


_NAME: Final = "[a-z0-9-]{1,40}"
_WEIGHT: Final = r"[0-9]{1,3}(?:\.[0-9]{1,3})?"

CARD: Final = ModelCard(
    name="ensemble",
    version="1",
    task=TaskName.SEGMENTATION,
    family="ensemble",
    title="Several models' mattes as one, and how far they agree",
    source="the members'",
    licence="Apache-2.0",
    data_terms="those of the members",
    # Its default members, mean IoU at one half: 41 photos in the wild, 55 of street
    # fashion, 62 portraits.
    quality={"iou_wild": 0.650, "iou_street": 0.947, "iou_portrait": 0.963},
    speed={"cpu_ms": 179.0, "peak_mb": 367.0},
    parameters=(
        given.text(
            MEMBERS,
            "people,selfie,silhouettes",
            "Whose mattes are joined",
            longest=200,
            pattern=rf"{_NAME}(?:, ?{_NAME}){{1,4}}",
            form="two to five names of models, such as people,selfie,silhouettes",
        ),
        given.text(
            WEIGHTS,
            "",
            "How much each counts; empty: all the same",
            longest=60,
            pattern=rf"(?:{_WEIGHT}(?:, ?{_WEIGHT}){{1,4}})?",
            form="a weight for each member, such as 2,1,1",
        ),
        # On training photos 46 of 49 masks below 0.8 IoU are caught, and 24 of 187 good ones of
        # portraits and street fashion flagged; others: docs/measurements.md, "Agreement".
        given.number(
            "agreement", 0.91, "Mean overlap of each two (IoU) that is enough", least=0.0, most=1.0
        ),
        given.choice("below", Below.REVIEW, "What happens when it is not", choices=tuple(Below)),
        given.text(
            STRONGER,
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


def load(weights: Path, others: Callable[[str], Segmenter]) -> "Ensemble":  # noqa: ARG001 - every model is loaded alike
    """Return the model; its members are loaded when a recipe names them."""
    return Ensemble(others)


@dataclass(frozen=True, slots=True)
class Ensemble:
    """Joins what others see.

    others: returns another model of the task by name.
    """

    others: Callable[[str], Segmenter]

    def __call__(self, batch: Sequence[Prepared], *, parameters: Parameters) -> list[People]:
        """Return the joint matte of each picture, with how far the members agree.

        Raises ValueError when there are not as many weights as members, or all are nought.
        """
        names = _listed(given.str_of(parameters, MEMBERS))
        texts = _listed(given.str_of(parameters, WEIGHTS))
        weights = [float(text) for text in texts] or [1.0] * len(names)
        found = [self.others(name)(batch) for name in names]
        return [_people(list(of_one), weights, parameters) for of_one in zip(*found, strict=True)]


def _people(found: Sequence[People], weights: Sequence[float], parameters: Parameters) -> People:
    mattes = [people.matte for people in found]
    matte = joined(mattes, weights)
    confidence = mean_agreement(mattes)
    is_unsure = confidence < given.float_of(parameters, "agreement")
    escalates = given.str_of(parameters, "below") == Below.ESCALATE
    return People(
        matte,
        persons=_persons(matte, found),
        confidence=confidence,
        # An escalated photo too: should no pool have the stronger model, somebody looks.
        needs_review=is_unsure,
        stronger=given.str_of(parameters, STRONGER) or None if is_unsure and escalates else None,
    )


def _persons(matte: Matte8, found: Sequence[People]) -> tuple[Matte8, ...] | None:
    """Give the joint matte to the persons of the first member that tells them apart."""
    told_apart = next((people.persons for people in found if people.persons), None)
    if told_apart is None:
        nobody = not (matte > HALF).any()
        return () if nobody and any(people.persons == () for people in found) else None
    return apart.split(matte, [person > HALF for person in told_apart])


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",")] if text else []
