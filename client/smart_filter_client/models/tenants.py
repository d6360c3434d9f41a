"""Keys, tokens, and a tenant's usage."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypedDict

from smart_filter_client.errors import KeyLost
from smart_filter_client.fields import Fields, JsonObject
from smart_filter_client.recipe import Recipe

Scope = Literal["submit", "read", "admin"]


@dataclass(frozen=True, slots=True)
class Key:
    """A key without its secret.

    scopes: any of submit, read, admin.  max_jobs, jobs: for a token, how many it can submit and
    has submitted.  parent: the key that issued a token.  issued_by: the key that
    issued another key.
    """

    key_id: str
    tenant: str
    scopes: tuple[str, ...]
    created_at: dt.datetime | None
    expires_at: dt.datetime | None
    revoked_at: dt.datetime | None
    parent: str | None
    max_jobs: int | None
    jobs: int | None
    issued_by: str | None = None


@dataclass(frozen=True, slots=True)
class NewKey:
    """A newly issued key; key: the secret itself, shown once."""

    key: str = field(repr=False)
    known: Key


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One event of the security log.

    key_id: the key of the request.  network: of the client.  subject: the key, webhook or tenant
    that was changed.  count: number of refused requests that it stands for.
    """

    at: dt.datetime | None
    event: str
    key_id: str | None
    network: str | None
    subject: str | None
    count: int


@dataclass(frozen=True, slots=True)
class Used:
    """Number of jobs, megapixels of their photos, and model seconds."""

    jobs: int
    megapixels: float
    model_seconds: float


@dataclass(frozen=True, slots=True)
class UsedDay:
    """The usage of a day in UTC: in total, and by the final state of jobs."""

    day: dt.date
    whole: Used
    by_state: Mapping[str, Used]


@dataclass(frozen=True, slots=True)
class TenantSettings:
    """The settings of a tenant; None: the server's setting applies.

    requests_per_minute, jobs_waiting, megapixels_per_day, stored_bytes, pictures: limits; 0: none.
    keep_input_seconds, keep_result_seconds: retention of photos, and of results.
    keep_nothing: whether files are deleted once the outputs are downloaded.
    recipe: default fields of the tenant's recipes.
    emotions: False: no emotions are read in its photos.
    link_seconds: lifetime of signed links of its jobs.
    """

    tenant: str
    requests_per_minute: int | None
    jobs_waiting: int | None
    megapixels_per_day: float | None
    keep_input_seconds: float | None
    keep_result_seconds: float | None
    keep_nothing: bool
    recipe: JsonObject
    emotions: bool | None = None
    link_seconds: int | None = None
    stored_bytes: int | None = None
    pictures: int | None = None


class TenantChange(TypedDict, total=False):
    """Changes to the settings of a tenant; None restores the server's setting."""

    requests_per_minute: int | None
    jobs_waiting: int | None
    megapixels_per_day: float | None
    stored_bytes: int | None
    pictures: int | None
    keep_input_seconds: int | None
    keep_result_seconds: int | None
    keep_nothing: bool
    recipe: Recipe | None
    emotions: Literal[False] | None
    link_seconds: int | None


def tenant_settings_from(document: object) -> TenantSettings:
    """Parse the settings of a tenant.  Raises UnexpectedAnswer."""
    fields = Fields(document, "a tenant")
    return TenantSettings(
        tenant=fields.text("tenant"),
        requests_per_minute=fields.integer_or_none("requests_per_minute"),
        jobs_waiting=fields.integer_or_none("jobs_waiting"),
        megapixels_per_day=fields.number_or_none("megapixels_per_day"),
        keep_input_seconds=fields.number_or_none("keep_input_seconds"),
        keep_result_seconds=fields.number_or_none("keep_result_seconds"),
        keep_nothing=fields.boolean_or_none("keep_nothing") is True,
        recipe=fields.mapping("recipe"),
        emotions=fields.boolean_or_none("emotions"),
        link_seconds=fields.integer_or_none("link_seconds"),
        stored_bytes=fields.integer_or_none("stored_bytes"),
        pictures=fields.integer_or_none("pictures"),
    )


def key_from(document: object) -> Key:
    """Parse a key.  Raises UnexpectedAnswer."""
    fields = Fields(document, "a key")
    return Key(
        key_id=fields.text("key_id"),
        tenant=fields.text("tenant"),
        scopes=fields.texts("scopes"),
        created_at=fields.time_or_none("created_at"),
        expires_at=fields.time_or_none("expires_at"),
        revoked_at=fields.time_or_none("revoked_at"),
        parent=fields.text_or_none("parent"),
        max_jobs=fields.integer_or_none("max_jobs"),
        jobs=fields.integer_or_none("jobs"),
        issued_by=fields.text_or_none("issued_by"),
    )


def audit_event_from(document: object) -> AuditEvent:
    """Parse an event of the security log.  Raises UnexpectedAnswer."""
    fields = Fields(document, "an event of the security log")
    return AuditEvent(
        at=fields.time_or_none("at"),
        event=fields.text("event"),
        key_id=fields.text_or_none("key_id"),
        network=fields.text_or_none("network"),
        subject=fields.text_or_none("subject"),
        count=fields.integer("count"),
    )


def new_key_from(document: object) -> NewKey:
    """Parse a new key.  Raises KeyLost, UnexpectedAnswer."""
    key_ = key_from(document)
    key = Fields(document, "a new key").text_or_none("key")
    if key is None:
        raise KeyLost(key_.key_id)
    return NewKey(key=key, known=key_)


def used_day_from(document: object) -> UsedDay:
    """Parse a day's usage.  Raises UnexpectedAnswer."""
    fields = Fields(document, "a day")
    by_state = {
        state: _used(Fields(used, "usage")) for state, used in fields.mapping("by_state").items()
    }
    return UsedDay(day=fields.day("day"), whole=_used(fields), by_state=by_state)


def _used(fields: Fields) -> Used:
    return Used(
        jobs=fields.integer_or_none("jobs") or 0,
        megapixels=fields.number_or_none("megapixels") or 0.0,
        model_seconds=fields.number_or_none("model_seconds") or 0.0,
    )
