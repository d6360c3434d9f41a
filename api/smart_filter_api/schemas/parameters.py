"""Ids in paths, query parameters and headers that several endpoints share, parsed strictly."""

import datetime as dt
import re
import uuid
from typing import Annotated, Final

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field

from smart_filter_shared.errors import NotFound
from smart_filter_shared.security import urls

_INSTANT_PATTERN = re.compile(
    r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})", re.ASCII
)
_DAY_PATTERN = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
IDEMPOTENCY_KEY_CHARACTERS: Final = 255
# The OpenAPI schema of the header, for generated clients; services/idempotency.py checks it. It
# omits quoted strings with escapes or spaces, which are accepted too.
IDEMPOTENCY_KEY_SCHEMA: Final = {
    "type": "string",
    "minLength": 1,
    "maxLength": IDEMPOTENCY_KEY_CHARACTERS,
    "pattern": r'^([!#-~]+|"[!#-\[\]-~]+")$',
}


def parse_id(text: str, kind: str) -> uuid.UUID:
    """Return the id that a path names; kind: what it is the id of, for the message.

    Raises NotFound for a malformed id, as for an unknown one.
    """
    try:
        return uuid.UUID(text)
    except ValueError:
        raise NotFound(f"there is no {kind} {text}") from None


def _parse_instant(text: object) -> object:
    # pydantic would read numbers as seconds since 1970.
    if isinstance(text, str) and not _INSTANT_PATTERN.fullmatch(text):
        raise ValueError(
            "is not a time such as 2030-01-31T12:00:00Z (RFC 3339); in a query + is %2B"
        )
    return text


def _parse_day(text: object) -> object:
    if isinstance(text, str) and not _DAY_PATTERN.fullmatch(text):
        raise ValueError("is not a day such as 2030-01-31")
    return text


def _to_utc(moment: dt.datetime) -> dt.datetime:
    try:
        return moment.astimezone(dt.UTC)
    except OverflowError as error:
        raise ValueError("is not in the years 1 to 9999 in UTC") from error


Instant = Annotated[AwareDatetime, BeforeValidator(_parse_instant), AfterValidator(_to_utc)]
Day = Annotated[dt.date, BeforeValidator(_parse_day)]
# The id of a job or batch in base64url, without padding.
Cursor = Annotated[str, Field(pattern="^[A-Za-z0-9_-]{21}[AQgw]$")]


def _validate_url(text: str) -> str:
    return str(urls.parse(text))


# Where the service posts to.
Address = Annotated[str, Field(max_length=urls.MAX_CHARACTERS), AfterValidator(_validate_url)]
