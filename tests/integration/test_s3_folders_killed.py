"""The API is killed at each step between an event and its result; nothing is lost or doubled."""

import contextlib
import os
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx
import pytest
from sqlalchemy import text

from integration.s3_photos import Photos, environment, open_buckets
from smart_filter_deploy.cli.server import program
from smart_filter_deploy.embedded.addresses import LOOPBACK, free_port, http_status
from smart_filter_shared.storage.objects import ObjectStore
from smart_filter_tests.bench import Bench
from smart_filter_tests.outages import wait_until
from smart_filter_tests.proxy import Mode, Proxy
from smart_filter_tests.serving import Site, an_api

# A new API process starts twice in each test.
pytestmark = pytest.mark.slow

# Whether the row of the photo is being written; the loop of results waits for the table too.
_IS_TAKING = """
    SELECT count(*) FROM pg_stat_activity
    WHERE wait_event_type = 'Lock' AND query LIKE '%INSERT INTO s3_objects%'
        AND pid <> pg_backend_pid()
"""


@dataclass(slots=True)
class Killable:
    """An API process whose S3 folders are reached through a proxy."""

    bench: Bench
    bucket: ObjectStore
    proxy: Proxy
    process: subprocess.Popen[bytes]
    port: int

    def tell(self) -> None:
        """Send the event of a photo in a thread, and wait for no answer."""

        def send() -> None:
            with contextlib.suppress(httpx.TransportError), self.photos() as photos:
                photos.tell("a.jpg")

        threading.Thread(target=send, daemon=True).start()

    @contextlib.contextmanager
    def photos(self) -> Iterator[Photos]:
        url = f"http://{LOOPBACK}:{self.port}"
        with an_api(Site(url, url), self.bench) as api:
            yield Photos(api, self.bucket)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self.proxy.cut()
        self.proxy.mode = Mode.PASS
        self.bench.execute("UPDATE s3_objects SET due_at = now()")

    def restart(self) -> None:
        self.process = _start(self.bench, self.proxy, self.port)

    def ends_well(self) -> None:
        """Assert that the photo has one job, and its result is written."""
        with self.photos() as photos:
            photos.run()

            assert photos.wait_for("a.png") == b"made"
            assert photos.tell("a.jpg").json() == {"jobs": []}
            assert photos.jobs() == 1


@pytest.fixture
def killable(bench: Bench) -> Iterator[Killable]:
    server = urlsplit(bench.settings.storage.url)
    assert server.hostname is not None
    assert server.port is not None
    bucket, port = open_buckets(bench), free_port()
    with Proxy(server.hostname, server.port) as proxy:
        it = Killable(bench, bucket, proxy, _start(bench, proxy, port), port)
        try:
            with it.photos() as photos:
                photos.put("a.jpg")
            yield it
        finally:
            it.process.kill()
            it.process.wait()


def test_api_killed_while_it_reads_the_photo_takes_it_from_the_next_event(
    killable: Killable,
) -> None:
    killable.proxy.hold_after(0)
    killable.tell()
    wait_until(lambda: killable.proxy.is_holding)
    killable.kill()
    killable.restart()
    with killable.photos() as photos:
        assert len(photos.tell("a.jpg").json()["jobs"]) == 1

    killable.ends_well()


def test_api_killed_before_its_commit_takes_the_photo_from_the_next_event(
    killable: Killable,
) -> None:
    bench = killable.bench
    with bench.transaction() as connection:
        connection.execute(text("LOCK TABLE s3_objects IN EXCLUSIVE MODE"))
        killable.tell()
        wait_until(lambda: bench.scalar(_IS_TAKING) == 1)
        killable.process.kill()
    killable.kill()
    killable.restart()
    with killable.photos() as photos:
        assert len(photos.tell("a.jpg").json()["jobs"]) == 1

    killable.ends_well()


def test_api_killed_while_it_writes_the_result_writes_it_after_a_restart(
    killable: Killable,
) -> None:
    with killable.photos() as photos:
        photos.tell("a.jpg")
        killable.proxy.hold_after(0)
        photos.run()
    wait_until(lambda: killable.proxy.is_holding)
    killable.kill()
    assert not killable.bucket.has("out/a.png")
    killable.restart()

    with killable.photos() as photos:
        assert photos.wait_for("a.png") == b"made"
        assert photos.jobs() == 1


def test_api_killed_after_it_wrote_the_result_writes_the_same_again(killable: Killable) -> None:
    with killable.photos() as photos:
        photos.tell("a.jpg")
        killable.proxy.hold_answers(to=b"PUT ")
        photos.run()
    wait_until(lambda: killable.proxy.is_holding)
    assert killable.bucket.has("out/a.png")
    killable.kill()
    assert killable.bench.scalar("SELECT state FROM s3_objects") == "pending"
    killable.restart()

    with killable.photos() as photos:
        assert photos.wait_for("a.png") == b"made"
        assert photos.keys() == {"in/a.jpg", "out/a.png"}


def _start(bench: Bench, proxy: Proxy, port: int) -> subprocess.Popen[bytes]:
    storage = bench.settings.storage
    access_key, secret_key = storage.keys
    settings = {
        **environment(),
        "SMART_FILTER_S3_URL": f"http://{LOOPBACK}:{proxy.port}",
        "SMART_FILTER_S3_ACCESS_KEY": access_key,
        "SMART_FILTER_S3_SECRET_KEY": secret_key,
    }
    process = subprocess.Popen(
        program.command("api", "--port", str(port)),
        env={**os.environ, **bench.environment, **settings},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_until(lambda: http_status(port, "/livez") is not None or process.poll() is not None)
    assert process.poll() is None
    return process
