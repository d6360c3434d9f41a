"""The type of times in answers."""

import datetime as dt
from typing import Annotated

from pydantic import AfterValidator


def _to_utc(moment: dt.datetime) -> dt.datetime:
    return moment.astimezone(dt.UTC)


# Serialized as RFC 3339 with a Z, whatever the time zone of the database session.
UtcDatetime = Annotated[dt.datetime, AfterValidator(_to_utc)]
