"""Answer models of a job's stages and the models that run them."""

from pydantic import BaseModel, Field

from smart_filter_shared.pipeline import StageName, TaskName
from smart_filter_shared.queue.states import StageState


class StageModelAnswer(BaseModel):
    """A model that a stage runs, and the digest of its weights."""

    task: TaskName
    name: str
    digest: str | None


class StageAnswer(BaseModel):
    """The state of one stage; seconds: how long its code ran.

    model: the leading model.  models: all models of the stage, the leading one included.
    """

    name: StageName
    model: str
    digest: str | None = Field(
        default=None,
        description="SHA-256 of the leading model's weights that produced the result; null until "
        "then, and for a model without weights (docs/learning.md)",
    )
    models: list[StageModelAnswer] = []
    state: StageState
    attempt: int
    seconds: float | None
