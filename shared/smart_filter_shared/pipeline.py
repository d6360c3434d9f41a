"""The pipeline: the one table that says what each stage is.

docs/architecture.md has it as a table, which a test compares with PIPELINE. docs/extending.md
describes how to add a stage.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from smart_filter_wire.words import Output, StageName, TaskName


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of the pipeline.

    needs: the stages whose results it reads. It is ready when all of them that the job runs
        have succeeded.
    task: the task of its leading model, whose family names the stage's capability.
    result: the field of a stage's `Inputs` that requests its result.
    light_tasks: the tasks of light models that run in the same stage.
    outputs: the outputs of a recipe that need this stage.
    imports_photo: whether it imports the job's photo. It is then part of every job, and no other
        stage of the job can be claimed before it has succeeded.
    gated_by_album: whether the stage of an album's job waits until the album is ranked; ranking
        removes it from the jobs that are not among the best.
    """

    name: StageName
    needs: tuple[StageName, ...]
    task: TaskName
    result: str
    light_tasks: tuple[TaskName, ...] = ()
    outputs: frozenset[Output] = frozenset()
    imports_photo: bool = False
    gated_by_album: bool = False


_RATING_OUTPUTS: Final = frozenset({Output.FACES, Output.RATING, Output.PRINTABILITY})
# Outputs that show the people on their background, and those of the people alone.
PICTURE_OUTPUTS: Final = frozenset({Output.IMAGE, Output.THUMBNAIL, Output.SHEET})
CUTOUT_OUTPUTS: Final = frozenset({Output.CUTOUT, Output.MATTE, Output.PERSONS, Output.ZIP})
COMPOSED_OUTPUTS: Final = PICTURE_OUTPUTS | CUTOUT_OUTPUTS | {Output.REGIONS, Output.PRINTABILITY}

PIPELINE: Final = (
    Stage(
        StageName.PREPARE,
        needs=(),
        task=TaskName.PREPARE,
        light_tasks=(TaskName.ORIENTATION,),
        result="prepared",
        imports_photo=True,
    ),
    Stage(
        StageName.SEGMENTATION,
        needs=(StageName.PREPARE,),
        task=TaskName.SEGMENTATION,
        result="segmented",
        outputs=_RATING_OUTPUTS | CUTOUT_OUTPUTS | {Output.REGIONS, Output.DEBUG},
    ),
    Stage(
        StageName.FACE,
        needs=(StageName.PREPARE,),
        task=TaskName.FACE,
        result="faces",
        outputs=_RATING_OUTPUTS,
    ),
    Stage(
        StageName.SMILE,
        needs=(StageName.FACE,),
        task=TaskName.SMILE,
        light_tasks=(TaskName.EYES,),
        result="smiles",
        outputs=_RATING_OUTPUTS,
    ),
    Stage(
        StageName.COMPOSITE,
        needs=(StageName.PREPARE, StageName.SEGMENTATION, StageName.SMILE),
        task=TaskName.COMPOSITE,
        result="composited",
        outputs=COMPOSED_OUTPUTS,
        gated_by_album=True,
    ),
)

# The stage of an album's photo that waits for the ranking, and the one of its take.
(GATE,) = (stage.name for stage in PIPELINE if stage.gated_by_album)
(GATE_OF_TAKE,) = (stage.name for stage in PIPELINE if stage.imports_photo)

LEADING_TASK: Final[Mapping[StageName, TaskName]] = {stage.name: stage.task for stage in PIPELINE}
STAGE_OF_TASK: Final[Mapping[TaskName, StageName]] = {
    task: stage.name for stage in PIPELINE for task in (stage.task, *stage.light_tasks)
}


def needs_within(stage: Stage, running: Collection[StageName]) -> tuple[StageName, ...]:
    """Return the needs of `stage` that a job running only `running` waits for."""
    return tuple(need for need in stage.needs if need in running)


def stage_index(name: StageName) -> int:
    """Return where the stage stands in the pipeline, 0 first."""
    return next(index for index, stage in enumerate(PIPELINE) if stage.name == name)


def get_stage(name: StageName) -> Stage:
    """Return a stage of the pipeline by its name."""
    return PIPELINE[stage_index(name)]
