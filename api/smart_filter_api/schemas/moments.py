"""Times, as answers show them."""

import datetime as dt
from typing import Annotated

from pydantic import AfterValidator


def _in_utc(moment: dt.datetime) -> dt.datetime:
    return moment.astimezone(dt.UTC)


# RFC 3339 with a Z, whatever the time zone of the database's session.
Moment = Annotated[dt.datetime, AfterValidator(_in_utc)]
