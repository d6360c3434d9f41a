"""Which stages exist, what each one needs, and which of them a job runs.

The drawing in docs/architecture.md is compared with PIPELINE by a test.
"""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum


class StageName(StrEnum):
    """One stop of the pipeline."""

    PREPARE = "prepare"
    SEGMENTATION = "segmentation"
    FACE = "face"
    SMILE = "smile"
    COMPOSITE = "composite"


@dataclass(frozen=True, slots=True)
class Stage:
    """A stop of the pipeline.

    needs: the stages whose results it reads; it is ready when all of them that the job
        runs have succeeded.
    """

    name: StageName
    needs: tuple[StageName, ...]


PIPELINE = (
    Stage(StageName.PREPARE, needs=()),
    Stage(StageName.SEGMENTATION, needs=(StageName.PREPARE,)),
    Stage(StageName.FACE, needs=(StageName.PREPARE,)),
    Stage(StageName.SMILE, needs=(StageName.FACE,)),
    Stage(StageName.COMPOSITE, needs=(StageName.PREPARE, StageName.SEGMENTATION, StageName.SMILE)),
)


def needs_within(stage: Stage, running: Collection[StageName]) -> tuple[StageName, ...]:
    """Return the needs of `stage` that a job running only `running` waits for."""
    return tuple(need for need in stage.needs if need in running)


def place(name: StageName) -> int:
    """Return where the stage stands in the pipeline, 0 first: a later one is nearer the end."""
    return next(index for index, stage in enumerate(PIPELINE) if stage.name == name)
