"""Response models of the operator's endpoints."""

import datetime as dt
import uuid

from pydantic import BaseModel, Field

from smart_filter_shared.operations.issues import Severity
from smart_filter_shared.operations.timeseries import TimeRange
from smart_filter_shared.queue.worker_registry import WorkerState
from smart_filter_wire.formats import Moment, Thousandths
from smart_filter_wire.words import JobState


class ServiceIssue(BaseModel):
    """An issue of the service; the gravity `bad` means that photos wait or fail because of it."""

    gravity: Severity
    subject: str = Field(description="The capability or worker concerned; empty: the whole service")
    title: str
    detail: str
    since: Moment | None


class Queue(BaseModel):
    """The queue of a capability and the workers that serve it."""

    capability: str
    waiting: int = Field(description="Stages that wait for an earlier stage or for their time")
    ready: int = Field(description="Stages that can be claimed now")
    running: int
    oldest_wait_seconds: Thousandths = Field(
        description="Age of the oldest ready stage; 0 without any"
    )
    workers: int
    threads: int
    paused_at: Moment | None


class Worker(BaseModel):
    """A worker process; failed: capabilities that it cannot serve, and why."""

    worker_id: uuid.UUID
    host: str
    pid: int
    state: WorkerState
    running: int
    threads: int
    capabilities: list[str]
    wanted: list[str] = Field(
        description="Capabilities it was started for; `webhooks` for a webhook sender"
    )
    failed: dict[str, str]
    started_at: Moment
    seen_at: Moment


class FailureGroup(BaseModel):
    """Failures of jobs in one capability with one problem code."""

    capability: str = Field(description="Empty: before any stage ran")
    code: str
    is_dead: bool = Field(description="Dead letters: no fault is known in the photos themselves")
    jobs: int = Field(
        description="Number of failures; a redriven job that fails again counts twice"
    )
    last_at: Moment
    last_job_id: uuid.UUID


class ServiceState(BaseModel):
    """The current state of the service."""

    concerns: list[ServiceIssue] = Field(description="Current issues, the worst first")
    queues: list[Queue]
    workers: list[Worker] = Field(description="Unhealthy workers first")
    workers_by_state: dict[WorkerState, int]
    unfinished: int = Field(description="Unfinished jobs, counted up to 10,000")
    webhook_lag_seconds: Thousandths


class JobsHistory(BaseModel):
    """How many jobs ended in each step; null for steps without a sample.

    A redriven job counts each time it ends.
    """

    succeeded: list[int | None]
    failed: list[int | None]
    canceled: list[int | None]
    webhook_lag_seconds: list[float | None] = Field(description="Maximum of each step")


class QueueHistory(BaseModel):
    """The history of a capability in each step; null for steps without a sample.

    ready, running and oldest_wait_seconds are the maxima of each step.
    """

    capability: str
    completed: list[int | None]
    failed: list[int | None] = Field(description="Jobs that failed in this capability")
    retries: list[int | None]
    releases: list[int | None]
    expiries: list[int | None]
    ready: list[int | None]
    running: list[int | None]
    oldest_wait_seconds: list[float | None]


class ServiceHistory(BaseModel):
    """The history of the service in steps of equal length; the last step ends now."""

    span: TimeRange
    first: Moment = Field(description="Start of the first step")
    step_seconds: int
    jobs: JobsHistory
    queues: list[QueueHistory]
    problems: list[FailureGroup] = Field(description="Why jobs failed, the latest first")


class TenantJobs(BaseModel):
    """How many jobs of a tenant ended, by their final state; days are in UTC."""

    tenant: str
    today: dict[JobState, int]
    days: dict[JobState, int]


class BusiestTenants(BaseModel):
    """The tenants with the most jobs."""

    first_day: dt.date
    items: list[TenantJobs]


class MovableJobs(BaseModel):
    """How many jobs of a tenant could be canceled or redriven; counted up to 10,000."""

    tenant: str
    unfinished: int = Field(description="Jobs that would be canceled")
    failed: int = Field(
        description="Jobs that would be redriven, except those whose photo has expired"
    )


class MovedJobs(BaseModel):
    """How many jobs were canceled or redriven, and how many were skipped.

    left: jobs that ended meanwhile or whose photo has expired.
    """

    moved: int
    left: int
    next_cursor: uuid.UUID | None = Field(description="`cursor` of the next request; null: done")
