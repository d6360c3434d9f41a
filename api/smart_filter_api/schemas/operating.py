"""The shapes of what is told to whoever runs the service."""

import datetime as dt
import uuid

from pydantic import BaseModel, Field

from smart_filter_api.schemas.moments import Moment
from smart_filter_shared.jobs.concerns import Gravity
from smart_filter_shared.jobs.history import Span
from smart_filter_shared.jobs.presence import WorkerState
from smart_filter_shared.jobs.states import JobState


class ConcernAnswer(BaseModel):
    """Something that is not well; bad: photos wait or fail for it."""

    gravity: Gravity
    subject: str = Field(description="the capability or worker that it is about; empty: all")
    title: str
    detail: str
    since: Moment | None


class QueueAnswer(BaseModel):
    """What waits for a capability, and who serves it."""

    capability: str
    waiting: int = Field(description="stages that need an earlier one, or their time")
    ready: int = Field(description="stages that could be claimed now")
    running: int
    oldest_wait_seconds: float = Field(description="of the ready; 0 when none is")
    workers: int
    threads: int
    paused_at: Moment | None


class WorkerAnswer(BaseModel):
    """A worker process; failed: what it cannot serve, and why."""

    worker_id: uuid.UUID
    host: str
    pid: int
    state: WorkerState
    running: int
    threads: int
    capabilities: list[str]
    wanted: list[str] = Field(description="what it was started for; of a sender `webhooks`")
    failed: dict[str, str]
    started_at: Moment
    seen_at: Moment


class ProblemsAnswer(BaseModel):
    """A problem's code with which jobs failed in a capability."""

    capability: str = Field(description="empty: before any stage ran")
    code: str
    is_dead: bool = Field(description="nothing is known to be wrong with the photos")
    jobs: int = Field(description="how often: one that is redriven and fails again counts again")
    last_at: Moment
    last_job_id: uuid.UUID


class StandingAnswer(BaseModel):
    """How the service stands now."""

    concerns: list[ConcernAnswer] = Field(description="what is not well, the worst first")
    queues: list[QueueAnswer]
    workers: list[WorkerAnswer] = Field(description="those that are not well first")
    workers_by_state: dict[WorkerState, int]
    unfinished: int = Field(description="jobs, counted up to a million")
    webhook_lag_seconds: float


class JobsHistory(BaseModel):
    """How many jobs ended in each step; null where nobody sampled.

    One that is redriven counts at each of its ends.
    """

    succeeded: list[int | None]
    failed: list[int | None]
    canceled: list[int | None]
    webhook_lag_seconds: list[float | None] = Field(description="the greatest that was seen")


class QueueHistory(BaseModel):
    """What happened in a capability in each step; null where nobody sampled.

    ready, running and oldest_wait_seconds are the greatest that were seen.
    """

    capability: str
    completed: list[int | None]
    failed: list[int | None] = Field(description="jobs that failed there")
    retries: list[int | None]
    releases: list[int | None]
    expiries: list[int | None]
    ready: list[int | None]
    running: list[int | None]
    oldest_wait_seconds: list[float | None]


class HistoryAnswer(BaseModel):
    """How things were, in steps of equal length, the last one up to now."""

    span: Span
    first: Moment = Field(description="when the first step begins")
    step_seconds: int
    jobs: JobsHistory
    queues: list[QueueHistory]
    problems: list[ProblemsAnswer] = Field(description="why jobs failed, the latest first")


class TenantJobs(BaseModel):
    """How many jobs of a tenant ended, by what became of them; days are in UTC."""

    tenant: str
    today: dict[JobState, int]
    days: dict[JobState, int]


class TenantsAnswer(BaseModel):
    """Those tenants that had most jobs."""

    first_day: dt.date
    items: list[TenantJobs]


class MovableAnswer(BaseModel):
    """How many jobs of a tenant could be moved; counted up to 10,000."""

    tenant: str
    unfinished: int = Field(description="would be canceled")
    failed: int = Field(description="would be redriven, but those whose photo is gone")


class MovedAnswer(BaseModel):
    """How many jobs were moved, and how many had ended or lack their photo by then."""

    moved: int
    left: int
    next_cursor: uuid.UUID | None = Field(description="ask again with it; null: that was all")
