"""Models of keys, sessions and a tenant's settings, and of the operator's answers."""

import datetime as dt
import uuid
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    model_validator,
)

from smart_filter_api.auth import links
from smart_filter_api.auth.api_keys import TENANT_PATTERN, Scope
from smart_filter_api.schemas.recipe import RecipeFields
from smart_filter_shared.operations.issues import Severity
from smart_filter_shared.operations.timeseries import TimeRange
from smart_filter_shared.queue.worker_registry import WorkerState
from smart_filter_wire.formats import Moment, Thousandths
from smart_filter_wire.words import JobState

_DAY_SECONDS = 24 * 3600
_MAX_KEY_SECONDS = 10 * 365 * _DAY_SECONDS
_MAX_TOKEN_SECONDS = _DAY_SECONDS
_MAX_TOKEN_JOBS = 1000
# Lifetime of a key without `expires_in_seconds`; keys of the operator's tenant do not expire then.
DEFAULT_KEY_SECONDS = 365 * _DAY_SECONDS
DEFAULT_TOKEN_SECONDS = 600
DEFAULT_TOKEN_JOBS = 1


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


def _only_submit(scopes: list[Scope]) -> list[Scope]:
    if scopes != [Scope.SUBMIT]:
        raise ValueError('is not ["submit"], the only scope of a device key')
    return scopes


OnlySubmit = Annotated[
    list[Scope],
    AfterValidator(_only_submit),
    Field(
        json_schema_extra={
            "items": {"type": "string", "enum": [Scope.SUBMIT]},
            "minItems": 1,
            "maxItems": 1,
        }
    ),
]


class KeyRequest(BaseModel):
    """A request for a key."""

    model_config = ConfigDict(extra="forbid")

    # Keys with the scope `operator` are created on the server (`smart-filter keys create`).
    scopes: list[Literal[Scope.SUBMIT, Scope.READ, Scope.ADMIN]] = Field(min_length=1, max_length=3)
    expires_in_seconds: StrictInt | None = Field(
        default=None,
        ge=1,
        le=_MAX_KEY_SECONDS,
        description=f"Lifetime; {DEFAULT_KEY_SECONDS} by default, and no end by default for a "
        "caller of the operator's tenant. The key ends no later than the key that issues it",
    )
    tenant: str | None = Field(
        default=None,
        pattern=TENANT_PATTERN,
        description="Tenant of the key, by default the caller's; only the operator may set another",
    )


class TokenRequest(BaseModel):
    """A request for a device key of an end user."""

    model_config = ConfigDict(extra="forbid")

    scopes: OnlySubmit | None = Field(default=None, description='`["submit"]` by default')
    ttl_seconds: StrictInt | None = Field(
        default=None,
        ge=1,
        le=_MAX_TOKEN_SECONDS,
        description=f"Lifetime; {DEFAULT_TOKEN_SECONDS} by default",
    )
    max_jobs: StrictInt | None = Field(
        default=None,
        ge=1,
        le=_MAX_TOKEN_JOBS,
        description=f"Jobs that it may submit; {DEFAULT_TOKEN_JOBS} by default",
    )


_MAX_COUNT = 10_000_000
_MAX_MEGAPIXELS = 1e12
_MAX_BYTES = 10**15
_MAX_SECONDS = 10 * 365 * 24 * 3600
# Shortest retention of results, which leaves clients the time to download them.
_MIN_RESULT_SECONDS = 60

Count = Annotated[int, Field(strict=True, ge=0, le=_MAX_COUNT)]
Megapixels = Annotated[float, Field(strict=True, ge=0, le=_MAX_MEGAPIXELS)]
Bytes = Annotated[int, Field(strict=True, ge=0, le=_MAX_BYTES)]
InputSeconds = Annotated[int, Field(strict=True, ge=0, le=_MAX_SECONDS)]
ResultSeconds = Annotated[int, Field(strict=True, ge=_MIN_RESULT_SECONDS, le=_MAX_SECONDS)]
LinkSeconds = Annotated[int, Field(strict=True, ge=links.MIN_SECONDS, le=links.MAX_SECONDS)]


def _only_off(emotions: bool) -> bool:  # noqa: FBT001 - a validator
    if emotions:
        raise ValueError(
            "is neither false nor null: a tenant can only be stricter than the server's setting, "
            "SMART_FILTER_EMOTIONS, and null restores that one"
        )
    return emotions


NoEmotions = Annotated[
    StrictBool, AfterValidator(_only_off), Field(json_schema_extra={"enum": [False]})
]


class TenantChange(BaseModel):
    """Changes to a tenant; omitted fields stay, null restores the server's setting."""

    model_config = ConfigDict(extra="forbid")

    requests_per_minute: Count | None = None
    jobs_waiting: Count | None = None
    megapixels_per_day: Megapixels | None = None
    stored_bytes: Bytes | None = None
    pictures: Count | None = None
    keep_input_seconds: InputSeconds | None = None
    keep_result_seconds: ResultSeconds | None = None
    keep_nothing: StrictBool | None = None
    recipe: RecipeFields | None = None
    link_seconds: LinkSeconds | None = None
    emotions: NoEmotions | None = None


_MAX_CHARACTERS = 200


class SessionRequest(BaseModel):
    """Credentials for a session; send either a key or a one-time code."""

    model_config = ConfigDict(extra="forbid")

    key: str | None = Field(default=None, min_length=1, max_length=_MAX_CHARACTERS)
    code: str | None = Field(default=None, min_length=1, max_length=_MAX_CHARACTERS)

    @model_validator(mode="after")
    def _require_one_credential(self) -> "SessionRequest":
        if (self.key is None) == (self.code is None):
            raise ValueError("send either key or code")
        return self


class Session(BaseModel):
    """A session; requests that change something send csrf_token in the header X-CSRF-Token."""

    tenant: str
    key_id: uuid.UUID
    scopes: list[Scope]
    created_at: Moment
    expires_at: Moment = Field(description="Absolute end; an unused session ends earlier")
    csrf_token: str


class OpenSession(BaseModel):
    """A session of the caller's key."""

    session_id: uuid.UUID
    created_at: Moment
    used_at: Moment = Field(description="Last use, accurate to a minute")
    expires_at: Moment = Field(description="Absolute end; an unused session ends earlier")
    is_current: bool = Field(description="Whether the request has its cookie")


class OpenSessions(BaseModel):
    """The sessions of the caller's key, the newest first."""

    items: list[OpenSession]
    next_cursor: None = None
