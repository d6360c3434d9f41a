"""Make jobs in memory as they are read from their rows."""

import datetime as dt
import uuid
from collections.abc import Mapping

from smart_filter_shared.ids import JobId, Tenant
from smart_filter_shared.jobs.queries import JobRow, StageRow
from smart_filter_shared.pipeline import LEADING_TASK, StageName
from smart_filter_shared.queue.states import JobState
from smart_filter_shared.recipe import Recipe, required_stages

Facts = Mapping[StageName, Mapping[str, object]]
CREATED_AT = dt.datetime(2026, 1, 1, 8, 30, tzinfo=dt.UTC)


def a_job_row(
    facts: Facts | None = None,
    *,
    recipe: Recipe | None = None,
    state: JobState = JobState.RUNNING,
    **fields: object,
) -> JobRow:
    """Make a job whose stages with facts have succeeded; the others wait."""
    given = facts or {}
    wanted = recipe or Recipe()
    row: dict[str, object] = {
        "id": JobId(uuid.UUID(int=1)),
        "tenant": Tenant("tests"),
        "state": state,
        "recipe": wanted,
        "seed": 1,
        "photo_key": "key",
        "created_at": CREATED_AT,
        "finished_at": None,
        "error": None,
        "stages": tuple(_a_stage_row(stage, given.get(stage)) for stage in required_stages(wanted)),
    }
    return JobRow(**{**row, **fields})  # type: ignore[arg-type]  # its fields


def _a_stage_row(stage: StageName, facts: Mapping[str, object] | None) -> StageRow:
    return StageRow(
        name=stage,
        state="waiting" if facts is None else "succeeded",
        attempt=1,
        models={LEADING_TASK[stage]: "model"},
        seconds=None,
        result=None if facts is None else {"facts": facts, "arrays": {}, "files": {}},
    )
