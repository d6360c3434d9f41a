"""A job's stages, and the models that run them, as answers show them."""

from pydantic import BaseModel, Field

from smart_filter_shared.cards import TaskName
from smart_filter_shared.jobs.states import StageState
from smart_filter_shared.pipeline import StageName


class StageModelAnswer(BaseModel):
    """A model that a stage runs, and by what its weights are known."""

    task: TaskName
    name: str
    digest: str | None


class StageAnswer(BaseModel):
    """Where one stage stands; seconds: how long its code ran.

    model: the one that leads it.  models: that and those beside it.
    """

    name: StageName
    model: str
    digest: str | None = Field(
        default=None,
        description="SHA-256 of the weights that made its result, of the model that leads;"
        " null until then, and of one without weights (docs/learning.md)",
    )
    models: list[StageModelAnswer] = []
    state: StageState
    attempt: int
    seconds: float | None
