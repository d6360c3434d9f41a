"""Keys, tokens, and a tenant's usage."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field

from smart_filter_client.errors import KeyLost
from smart_filter_client.fields import Fields


@dataclass(frozen=True, slots=True)
class Key:
    """A key without its secret.

    scopes: any of submit, read, admin.  max_jobs, jobs: for a token, how many it can submit and
    has submitted.  parent: the key that issued a token.
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


@dataclass(frozen=True, slots=True)
class NewKey:
    """A newly issued key; key: the secret itself, shown once."""

    key: str = field(repr=False)
    known: Key


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
    )


def new_key_from(document: object) -> NewKey:
    """Parse a new key.  Raises KeyLost, UnexpectedAnswer."""
    known = key_from(document)
    key = Fields(document, "a new key").text_or_none("key")
    if key is None:
        raise KeyLost(known.key_id)
    return NewKey(key=key, known=known)


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
