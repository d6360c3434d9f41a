"""Where things are looked for, without looking."""

from pathlib import Path

from smart_filter_deploy.embedded.addresses import Addresses, StackAddress
from smart_filter_deploy.embedded.binaries import system_postgres

ADDRESSES = Addresses(
    database_url="postgresql+psycopg://u:secret@127.0.0.1:1/d",
    broker_url="redis://:secret@127.0.0.1:2/0",
    storage_url="http://127.0.0.1:3",
    storage_access_key="access",
    storage_secret_key="secret",
)


def test_newest_postgres_of_the_system_comes_first_and_old_ones_never() -> None:
    folders = [Path(f"/usr/lib/postgresql/{version}/bin") for version in ("9.6", "15", "16", "18")]

    found = system_postgres(folders)

    assert found == [folders[3], folders[2]]


def test_a_logged_address_shows_no_secret() -> None:
    address = StackAddress(url="http://127.0.0.1:4", api_key="secret", pid=1, servers=ADDRESSES)

    assert "secret" not in repr(address)


def test_page_for_people_is_the_root() -> None:
    address = StackAddress(url="http://127.0.0.1:4", api_key="key", pid=1, servers=ADDRESSES)

    assert address.studio_url == "http://127.0.0.1:4/"
    assert address.studio_url_with("code") == "http://127.0.0.1:4/#code=code"
