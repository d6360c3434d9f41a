"""A backup of 40 days, restored into a new cluster as docs/operating.md says."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from smart_filter_deploy.embedded.addresses import Addresses
from smart_filter_deploy.embedded.binaries import postgres_folder
from smart_filter_deploy.embedded.folder import DataFolder
from smart_filter_deploy.embedded.stack import Stack
from smart_filter_shared.ids import Tenant
from smart_filter_shared.jobs import events
from smart_filter_tests import aging, old_installation, sample_jobs
from smart_filter_tests.aged_stack import DATABASE, AgedStack
from smart_filter_tests.bench import Bench
from smart_filter_tests.commands import Command, on_servers
from smart_filter_tests.old_installation import TEMPLATE, WEEKLY, a_bench
from smart_filter_tests.serving import serving


def program(name: str, database: str, *arguments: str, of: Addresses) -> None:
    """Run one of PostgreSQL's programs on a database."""
    url = f"{of.database_url.replace('+psycopg', '').rpartition('/')[0]}/{database}"
    command = [str(postgres_folder() / name), *arguments, "--dbname", url]
    subprocess.run(command, check=True, capture_output=True)


@pytest.fixture(scope="module")
def restored(aged: AgedStack, data_folder: Path) -> Iterator[Bench]:
    """The template's database in a new cluster, beside the bucket's objects as they are."""
    dump = data_folder / "aged.dump"
    source = aged.running.stack.addresses
    program("pg_dump", TEMPLATE, "--format=custom", "--compress=0", f"--file={dump}", of=source)
    with Stack(DataFolder.at(data_folder / "restored")) as servers:
        program("pg_restore", DATABASE, "--no-owner", str(dump), of=servers.addresses)
        dump.unlink()
        with a_bench(servers.addresses, DATABASE, aged.folder) as bench:
            bench.store.ensure_bucket()
            _copy_objects(aged.bench, bench)
            yield bench


def _copy_objects(source: Bench, to: Bench) -> None:
    for stored in source.store.stored():
        content = source.store.get(stored.key)
        to.store.put(stored.key, content, length=len(content), media_type="image/png")


@pytest.fixture
def prepared(
    restored: Bench, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Command:
    """The command line on the restored servers, on which `prepare` has run."""
    command = on_servers(restored.settings, capsys, monkeypatch)
    assert command.status("prepare") == 0
    return command


@contextmanager
def served_to(bench: Bench, tenant: Tenant) -> Iterator[httpx.Client]:
    """Serve the restored database; yields a tenant's client."""
    with (
        serving(bench.settings) as url,
        old_installation.client_of(url, aging.rotate_key(bench, tenant)) as client,
    ):
        yield client


def test_nothing_restored_is_news_to_those_who_wait(restored: Bench, prepared: Command) -> None:
    del prepared
    with restored.transaction() as connection:
        horizon = events.news(connection, None).horizon
    with restored.transaction() as connection:
        looked = events.news(connection, horizon)

    assert looked.jobs == {}


def test_restored_service_streams_the_end_of_a_scheduled_job(
    restored: Bench, prepared: Command
) -> None:
    del prepared
    with served_to(restored, WEEKLY) as client:
        job_id = client.get("/v1/jobs", params={"state": "queued"}).json()["items"][0]["id"]
        with client.stream("GET", f"/v1/jobs/{job_id}/events") as answer:
            canceled = client.post(f"/v1/jobs/{job_id}/cancel").status_code
            told = [line[7:] for line in answer.iter_lines() if line.startswith("event: ")]

    assert canceled == 200
    assert told == ["job.queued", "job.canceled"]


def test_restored_service_serves_pictures_and_lists_of_before(
    restored: Bench, prepared: Command
) -> None:
    with served_to(restored, WEEKLY) as client:
        ended = {"state": "succeeded", "limit": "200"}
        jobs = client.get("/v1/jobs", params=ended).json()["items"]
        picture = client.get(f"/v1/jobs/{jobs[0]['id']}/outputs/image")
    found = prepared("audit")

    assert len({job["id"] for job in jobs}) == 200
    assert picture.content == sample_jobs.PICTURE
    assert found == {"findings": []}
