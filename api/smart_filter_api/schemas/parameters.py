"""Query parameters and headers that several endpoints take, read strictly."""

import datetime as dt
import re
from typing import Annotated, Final

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field

_MOMENT = re.compile(
    r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})", re.ASCII
)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
IDEMPOTENCY_KEY_CHARACTERS: Final = 255
# What the header may be is checked where it is read; programs that write requests are told here.
# Not told of: a quoted string with escapes, or spaces in it.
IDEMPOTENCY_KEY_SCHEMA: Final = {
    "type": "string",
    "minLength": 1,
    "maxLength": IDEMPOTENCY_KEY_CHARACTERS,
    "pattern": r'^([!#-~]+|"[!#-\[\]-~]+")$',
}


def _moment(text: object) -> object:
    # Numbers would be taken for seconds since 1970.
    if isinstance(text, str) and not _MOMENT.fullmatch(text):
        raise ValueError(
            "is not a time such as 2030-01-31T12:00:00Z (RFC 3339); in a query + is %2B"
        )
    return text


def _day(text: object) -> object:
    if isinstance(text, str) and not _DAY.fullmatch(text):
        raise ValueError("is not a day such as 2030-01-31")
    return text


def _in_utc(moment: dt.datetime) -> dt.datetime:
    try:
        return moment.astimezone(dt.UTC)
    except OverflowError as error:
        raise ValueError("is not in the years 1 to 9999 in UTC") from error


Instant = Annotated[AwareDatetime, BeforeValidator(_moment), AfterValidator(_in_utc)]
Day = Annotated[dt.date, BeforeValidator(_day)]
# The id of a job or batch in base64url, without padding.
Cursor = Annotated[str, Field(pattern="^[A-Za-z0-9_-]{21}[AQgw]$")]
