"""Keys, usage, the security log, and the settings of a tenant."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field

from smart_filter_wire.formats import Id, JsonObject, Moment, Thousandths, described
from smart_filter_wire.words import AuditEvent, JobState, Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A key without its secret; parent, max_jobs and jobs are set only for device keys.

    issued_by is the key that issued it, null for a device key and for keys of the command line.
    """

    key_id: Id
    tenant: str
    scopes: tuple[Scope, ...]
    created_at: Moment
    expires_at: Moment | None
    revoked_at: Moment | None
    parent: Id | None
    max_jobs: int | None
    jobs: int | None = field(metadata=described("Jobs submitted so far"))
    issued_by: Id | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewApiKey(ApiKey):
    """A new key."""

    key: str | None = field(
        repr=False,
        metadata=described(
            "Shown only once. A repeated request with the same Idempotency-Key gets it "
            "again, or null when the server has no secrets key"
        ),
    )


@dataclass(frozen=True, slots=True)
class ApiKeyPage:
    """A page of keys."""

    items: tuple[ApiKey, ...]
    next_cursor: Id | None


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One event of the security log."""

    at: Moment
    event: AuditEvent | str = field(metadata=described("Other text: an event of another version"))
    key_id: Id | None = field(metadata=described("Key of the request; null: unknown, or none"))
    network: str | None = field(
        metadata=described(
            "IPv4 address or IPv6 network of the client; null for the command line, and "
            "for refused requests of further networks"
        )
    )
    subject: str | None = field(
        metadata=described("Key, webhook or tenant that the event is about")
    )
    count: int = field(metadata=described("Refused requests of a minute that the event stands for"))


@dataclass(frozen=True, slots=True)
class AuditPage:
    """A page of the security log."""

    items: tuple[AuditRecord, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class Usage:
    """Usage: number of jobs, megapixels of their photos, and run time of models for them."""

    jobs: int
    megapixels: Thousandths
    model_seconds: Thousandths


@dataclass(frozen=True, slots=True, kw_only=True)
class DayUsage(Usage):
    """Usage of one day in UTC: in total, and by the final state of the jobs."""

    day: dt.date
    by_state: Mapping[JobState, Usage]


@dataclass(frozen=True, slots=True)
class UsagePage:
    """Usage of the days on which jobs ended, in order."""

    items: tuple[DayUsage, ...]
    record_seconds: float | None = field(
        metadata=described(
            "How long a job's record is kept after its end, and longer while anything else"
            " of the job is kept; then the job answers 404. Usage stays. null: for ever"
        )
    )
    next_cursor: None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantSettings:
    """The overrides of a tenant; null: the server's setting applies."""

    tenant: str
    requests_per_minute: int | None = field(
        metadata=described("0: no limit; same for the next four")
    )
    jobs_waiting: int | None
    megapixels_per_day: float | None
    stored_bytes: int | None
    pictures: int | None
    keep_input_seconds: float | None = field(
        metadata=described("Retention of photos and intermediate files")
    )
    keep_result_seconds: float | None
    keep_nothing: bool = field(
        metadata=described(
            "Delete all files of a job once its outputs are downloaded, or after an hour"
        )
    )
    recipe: JsonObject = field(
        metadata=described("Default recipe fields of the tenant's jobs, as they were set")
    )
    emotions: bool | None = field(
        metadata=described("false: no emotions are read in its photos (docs/biometrics.md)")
    )
    link_seconds: int | None = field(
        metadata=described(
            "Lifetime of signed links of its jobs, unless a request sets `expires_in`"
        )
    )
