from pathlib import Path

import pytest

from smart_filter_deploy.embedded.addresses import Addresses, StackAddress
from smart_filter_deploy.embedded.binaries import list_system_postgres
from smart_filter_deploy.embedded.child_processes import Backoff

ADDRESSES = Addresses(
    database_url="postgresql+psycopg://u:secret@127.0.0.1:1/d",
    broker_url="redis://:secret@127.0.0.1:2/0",
    storage_url="file:///objects",
)


def test_newest_postgres_is_first_and_outdated_ones_are_ignored() -> None:
    folders = [Path(f"/usr/lib/postgresql/{version}/bin") for version in ("9.6", "15", "16", "18")]

    listed = list_system_postgres(folders)

    assert listed == [folders[3], folders[2]]


def test_address_opens_the_page_and_shows_no_secret() -> None:
    address = StackAddress(url="http://127.0.0.1:4", api_key="secret", pid=1, servers=ADDRESSES)

    assert "secret" not in repr(address)
    assert address.studio_url == "http://127.0.0.1:4/"
    assert address.studio_url_for_code("code") == "http://127.0.0.1:4/#code=code"


@pytest.mark.parametrize(
    ("lived_seconds", "waits"),
    [
        ([2.0], [0.0]),
        ([0.5] * 9, [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 4.0, 4.0, 4.0]),
        ([0.5, 0.5, 60.0, 0.5], [0.1, 0.2, 0.0, 0.1]),
    ],
    ids=["lived", "keeps dying", "lived in between"],
)
def test_child_that_died_early_waits_longer_each_time(
    lived_seconds: list[float], waits: list[float]
) -> None:
    backoff = Backoff()

    assert [backoff.after(seconds) for seconds in lived_seconds] == waits
