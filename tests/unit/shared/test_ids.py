"""The day that an id names, also one that was made up."""

import datetime as dt
import uuid

import pytest

from smart_filter_shared.ids import JobId, day_of


@pytest.mark.parametrize(
    ("made", "day"),
    [
        ("00000000-0000-7000-8000-000000000000", dt.date(1970, 1, 1)),
        ("0190a6e2-0000-7000-8000-000000000000", dt.date(2024, 7, 12)),
        ("e677d21f-dc00-7000-8000-000000000000", dt.date.max),  # the first moment of the year 10000
        ("ffffffff-ffff-ffff-ffff-ffffffffffff", dt.date.max),
    ],
)
def test_any_id_names_a_day(made: str, day: dt.date) -> None:
    assert day_of(JobId(uuid.UUID(made))) == day
