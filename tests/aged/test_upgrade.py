"""The upgrade of an installation of 40 days by `prepare`, from before the newest migration."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from sqlalchemy import text

from smart_filter_shared.db import migrate, schema
from smart_filter_tests import aging, invariants, many_days, old_installation, sample_jobs
from smart_filter_tests.aged_stack import AgedStack
from smart_filter_tests.bench import Bench
from smart_filter_tests.commands import Command, on_servers
from smart_filter_tests.old_installation import WEEKLY
from smart_filter_tests.serving import Api, serving

DATABASE = "upgraded"
VERSIONS = sorted(Path(migrate.__file__).parent.glob("migrations/versions/[0-9]*.py"))


@pytest.fixture
def former(aged: AgedStack) -> Iterator[Bench]:
    """A copy of the template, brought back to the migration before the newest."""
    addresses = aged.running.stack.addresses
    old_installation.copy_to(addresses, DATABASE)
    with old_installation.a_bench(addresses, DATABASE, aged.folder) as bench:
        many_days.bring(bench.engine, VERSIONS[-2].name.partition("_")[0])
        yield bench
    old_installation.drop(addresses, DATABASE)


@pytest.fixture
def command(
    former: Bench, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Command:
    """The command line of the new version, on the database of the former one."""
    return on_servers(former.settings, capsys, monkeypatch)


def counts(bench: Bench) -> Mapping[str, int]:
    """Return how many rows there are of what must not get lost."""
    tables = ("jobs", "stages", "events", "deliveries", "delivery_attempts", "artifacts", "usage")
    with bench.transaction() as connection:
        return {
            table: int(connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())
            for table in tables
        }


def test_upgraded_service_has_every_row_and_takes_new_photos(
    former: Bench, command: Command
) -> None:
    before = counts(former)

    prepared = command.status("prepare")

    after = counts(former)
    with former.transaction() as connection:
        found = (
            schema.revision(connection),
            connection.scalar(
                text(
                    "SELECT count(*) FROM models WHERE fingerprint = 'older' AND name <> 'learned'"
                )
            ),
        )
    with serving(former.settings) as url:
        api = Api(url, former, old_installation.client_of(url, aging.rotate_key(former, WEEKLY)))
        with api.client:
            new = sample_jobs.of_every_end(api, "http://127.0.0.1:9/")
            ended = api.job(str(new["five stages"][0]))["state"]
    assert (prepared, after) == (0, before)
    assert found == (schema.newest_revision(), 0)
    assert ended == "succeeded"
    assert invariants.broken(former) == []
