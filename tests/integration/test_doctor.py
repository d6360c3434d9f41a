"""The doctor on machines and servers with faults."""

import contextlib
import datetime as dt
import fcntl
import os
import shutil
import socket
import tempfile
from collections.abc import Iterable, Iterator
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest

from smart_filter_api.auth.api_keys import Scope
from smart_filter_deploy.doctor import checkup
from smart_filter_deploy.doctor import servers as servers_of_a_stack
from smart_filter_deploy.doctor.findings import Finding, Level
from smart_filter_deploy.embedded import c2pa_certificate
from smart_filter_deploy.embedded.stack import Stack
from smart_filter_shared.ids import Capability
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.queue import heads
from smart_filter_shared.security.signing_certificate import CERTIFICATE
from smart_filter_tests import broker_faults, http_server
from smart_filter_tests.bench import Bench
from smart_filter_tests.http_server import ReceivedRequest, Reply
from smart_filter_tests.outages import read_only
from smart_filter_tests.serving import an_api_with
from smart_filter_tests.tls_certificates import TlsCertificate
from smart_filter_tests.web import a_site


@pytest.fixture
def folder(data_folder: Path) -> Iterator[Path]:
    """An unused data folder."""
    with tempfile.TemporaryDirectory(dir=data_folder) as made:
        Path(made).chmod(0o711)
        yield Path(made)


@pytest.fixture
def _named(servers: Stack, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment names healthy servers."""
    del bench  # it empties them
    for name, value in servers.addresses.environment().items():
        monkeypatch.setenv(name, value)


def examine(folder: Path, *, port: int | None = None) -> dict[str, Finding]:
    """Return the last finding of each subject."""
    found = checkup.run_checks(folder, port=port, on_check=list[str]().append)
    return {finding.what: finding for finding in found}


@contextlib.contextmanager
def locked(path: Path, process: str = "") -> Iterator[None]:
    """Hold a lock file that names a process."""
    with path.open("w") as lock:
        lock.write(process)
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def announce(bench: Bench, stages: Iterable[StageName] = StageName, **more: object) -> None:
    """Register a worker that serves these stages."""
    serves = [Capability(f"{stage}.x") for stage in stages]
    bench.announce(*serves, id=bench.worker, pid=7, **more)


@pytest.mark.usefixtures("_named")
def test_parts_of_the_embedded_stack_are_not_checked_where_servers_are_named(folder: Path) -> None:
    found = examine(folder / "not" / "there")

    assert found.keys() & {"data folder", "permissions", "stack", "memory", "postgresql"} == set()
    assert found.keys() >= {"python", "disk", "database"}


@pytest.mark.usefixtures("_named")
def test_read_only_database_fails_and_workers_are_not_blamed(folder: Path, bench: Bench) -> None:
    with read_only(bench):
        found = examine(folder)

    assert found["database"].level == Level.FAIL
    assert found["database"].said.endswith("is read-only (a replica?)")
    assert found["database"].fix == "point SMART_FILTER_DATABASE_URL to the primary"
    assert "workers" not in found


@pytest.mark.usefixtures("_named")
def test_stages_without_a_worker_and_models_that_fail_to_load_are_named(
    folder: Path, bench: Bench
) -> None:
    model = Capability("segmentation.detectron2")
    failed = {model: "segmentation detectron2: libcuda.so.1 is missing"}
    announce(bench, [stage for stage in StageName if stage != "smile"], failed=failed)

    found = examine(folder)

    assert (found["workers"].level, found[model].level) == (Level.WARN, Level.WARN)
    assert found["workers"].said.startswith("no worker serves smile:")
    assert found["workers"].fix == "smart-filter worker --stages smile"
    assert "libcuda.so.1 is missing" in found[model].said


@pytest.mark.usefixtures("_named")
def test_silent_worker_is_named(folder: Path, bench: Bench) -> None:
    announce(bench)
    bench.execute("UPDATE workers SET seen_at = seen_at - interval '1 minute'")

    found = list(checkup.run_checks(folder, port=None, on_check=list[str]().append))

    (unwell,) = [one for one in found if "unhealthy" in one.said]
    assert (unwell.level, unwell.what) == (Level.WARN, "workers")
    assert unwell.said.startswith(f"{bench.worker} on here (process 7) is unhealthy")


@pytest.mark.usefixtures("_named")
def test_drained_workers_and_paused_queues_are_not_missing(folder: Path, bench: Bench) -> None:
    every = [Capability(f"{stage}.x") for stage in StageName]
    announce(bench, (), wanted=every, draining=True)
    bench.do(heads.pause, Capability("face.x"))

    found = list(checkup.run_checks(folder, port=None, on_check=list[str]().append))

    worker_findings = [(one.said, one.fix) for one in found if one.what == "workers"]
    assert worker_findings == [
        (
            f"{bench.worker} on here (process 7) is drained",
            f"smart-filter workers resume {bench.worker}, or stop it",
        ),
        (
            f"only drained workers serve {', '.join(StageName)}: their jobs wait",
            "resume one",
        ),
    ]
    (paused,) = [one for one in found if one.what == "face.x"]
    assert (paused.level, paused.fix) == (Level.WARN, "smart-filter queues resume face.x")


@pytest.mark.usefixtures("_named")
def test_broker_that_takes_no_writes_is_found(folder: Path, bench: Bench) -> None:
    with broker_faults.read_only(bench.broker):
        found = examine(folder)["broker"]

    assert (found.level, "takes no writes" in found.said) == (Level.FAIL, True)


@pytest.mark.usefixtures("_named")
def test_servers_api_studio_and_live_worker_are_checked(
    folder: Path, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = {"SMART_FILTER_LIVE_URL": "ws://127.0.0.1:1", "SMART_FILTER_LIVE_SECRET": "s" * 32}
    with an_api_with(bench, **live) as api:
        monkeypatch.setenv("SMART_FILTER_URL", api.url)
        monkeypatch.setenv("SMART_FILTER_API_KEY", api.key(*Scope))

        found = examine(folder)

    assert found["database"].said.startswith("PostgreSQL ")
    assert found["broker"].said.startswith("Valkey ")
    healthy = ("migrations", "storage", "api", "browsers")
    assert {found[name].level for name in healthy} == {Level.OK}
    assert found["studio"].said == f"{api.url}/ shows the page"
    assert found["live"].level == Level.FAIL
    assert found["live"].fix.startswith("start `smart-filter live-worker`")


@pytest.mark.parametrize(
    ("days", "level", "says"),
    [(31, Level.OK, "expires on"), (29, Level.WARN, "expires on"), (-1, Level.FAIL, "expired on")],
)
def test_certificates_that_expire_are_found_a_month_before(
    folder: Path, monkeypatch: pytest.MonkeyPatch, days: int, level: Level, says: str
) -> None:
    made = dt.datetime.now(dt.UTC) - dt.timedelta(days=2)
    signing = c2pa_certificate.make(now=made, days=days + 2)
    for name, text in zip(("chain.pem", "key.pem"), signing, strict=True):
        (folder / name).write_text(text)
    tls = TlsCertificate(folder / "chain.pem", folder / "key.pem").serving()
    monkeypatch.setenv(CERTIFICATE, signing[0])

    with a_site(tls=tls) as site:
        monkeypatch.setenv("SMART_FILTER_URL", site.url)
        found = examine(folder)

    assert {name: found[name].level for name in ("c2pa", "https")} == {
        "c2pa": level,
        "https": level,
    }
    assert says in found["c2pa"].said
    assert says in found["https"].said
    assert bool(found["https"].fix) == (level != Level.OK)


def test_unreadable_setting_is_named(
    servers: Stack, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMART_FILTER_LEASE_SECONDS", "soon")
    database, _, _ = servers_of_a_stack.settings_of(servers.addresses)

    found = list(checkup.guard_check("servers", servers_of_a_stack.check_database(database)))

    del bench  # it has emptied them
    assert found[-1].level == Level.FAIL
    assert "SMART_FILTER_LEASE_SECONDS" in found[-1].said
    assert "pydantic" not in found[-1].said


@pytest.mark.usefixtures("_named")
@pytest.mark.parametrize(
    ("variable", "value", "what"),
    [
        ("SMART_FILTER_DATABASE_URL", "postgresql+psycopg://u:hush-hush@127.0.0.1:1/d", "database"),
        ("SMART_FILTER_DATABASE_URL", "hush-hush", "servers"),
        ("SMART_FILTER_BROKER_URL", "redis://:hush-hush@127.0.0.1:1/0", "broker"),
        ("SMART_FILTER_BROKER_URL", "http://:hush-hush@127.0.0.1:1/0", "servers"),
        ("SMART_FILTER_STORAGE_URL", "http://127.0.0.1:1", "storage"),
        ("SMART_FILTER_STORAGE_SECRET_KEY", "hush-hush", "storage"),
        ("SMART_FILTER_STORAGE_BUCKET", "no-such-bucket", "storage"),
    ],
)
def test_unusable_server_fails_with_a_remedy_and_without_secrets(
    folder: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, what: str
) -> None:
    monkeypatch.setenv(variable, value)

    found = examine(folder)

    assert found[what].level == Level.FAIL
    assert found[what].fix
    assert "hush" not in str(found.values())


@pytest.mark.usefixtures("_named")
def test_store_that_copies_by_an_unsigned_header_is_reported(
    folder: Path, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    with a_copying_store(bench) as url:
        monkeypatch.setenv("SMART_FILTER_STORAGE_URL", url)
        found = examine(folder)["storage"]

    assert found.level == Level.WARN
    assert "copy photos of other tenants" in found.said
    assert not list(bench.store.stored("doctor/"))


@contextlib.contextmanager
def a_copying_store(bench: Bench) -> Iterator[str]:
    """Pass requests to the real store, but serve `x-amz-copy-source`, signed or not."""
    real = urlsplit(bench.settings.storage.url)

    def answer(request: ReceivedRequest) -> Reply:
        if source := request.headers.get("x-amz-copy-source"):
            _, _, key = source.lstrip("/").partition("/")
            content = bench.read(key)
            to = urlsplit(request.path).path.removeprefix(f"/{bench.store.bucket}/")
            bench.store.put(to, content, length=len(content), media_type="text/plain")
            return Reply(httpx.codes.OK)
        connection = HTTPConnection(real.hostname or "", real.port, timeout=60)
        # With the Host that the client signed.
        connection.request(request.method, request.path, request.body, dict(request.headers))
        response = connection.getresponse()
        body = response.read()
        connection.close()
        return Reply(
            response.status,
            body,
            {
                name: value
                for name, value in response.headers.items()
                if name.lower() not in {"content-length", "transfer-encoding", "connection"}
            },
        )

    with http_server.serve(answer) as url:
        yield url


@pytest.mark.usefixtures("_named")
def test_database_without_our_tables_fails(
    folder: Path, servers: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = servers.addresses.database_url
    monkeypatch.setenv("SMART_FILTER_DATABASE_URL", url.removesuffix("smart_filter") + "bare")
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("CREATE DATABASE bare")
        try:
            found = examine(folder)["migrations"]
        finally:
            connection.execute("DROP DATABASE bare WITH (FORCE)")

    assert found.level == Level.FAIL
    assert found.said.startswith("the database has no tables yet")


def test_busy_port_fails_with_the_listening_process(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        found = examine(folder, port=listener.getsockname()[1])["port"]

    assert found.level == Level.FAIL
    assert f"process {os.getpid()} " in found.said


def test_remains_of_a_stack_in_the_folder_are_explained(folder: Path) -> None:
    (folder / "lock").write_text("12345")
    lock_of_no_process = examine(folder)["stack"]
    with locked(folder / "lock", "12345"):
        starting = examine(folder)["stack"]
    with locked(folder / "children.lock"):
        left_over = examine(folder)["stack"]
    (folder / "stack.json").write_text('{"url": "http://127.0.0.1:1"}')
    killed = examine(folder)["stack"]

    assert lock_of_no_process.level == Level.OK
    assert (starting.level, "process 12345" in starting.said) == (Level.WARN, True)
    assert left_over.level == Level.FAIL
    assert left_over.fix.startswith(f"kill {os.getpid()}")
    assert (killed.level, "killed" in killed.said) == (Level.WARN, True)
    assert "replaces it" in killed.fix


def test_folder_writable_by_others_fails(folder: Path) -> None:
    folder.chmod(0o777)

    found = examine(folder)["data folder"]

    assert (found.level, found.fix) == (Level.FAIL, f"chmod go-w {folder}")


@pytest.mark.skipif(
    os.geteuid() != 0, reason="run as root: only root runs PostgreSQL as another user"
)
def test_inaccessible_parent_folder_stops_postgres_and_nothing_is_created(folder: Path) -> None:
    folder.chmod(0o700)
    there = folder / "data"

    found = examine(there)

    assert (found["data folder"].level, there.exists()) == (Level.OK, False)
    assert found["permissions"].level == Level.FAIL
    assert found["permissions"].fix.startswith(f"chmod o+x {folder}, ")


def test_weights_are_compared_with_their_digests(folder: Path, weights_folder: Path) -> None:
    none = examine(folder)["weights"]
    shutil.copytree(weights_folder, folder / "weights")
    right = examine(folder)["weights"]
    first = next((folder / "weights").iterdir())
    first.write_bytes(b"changed")
    changed = examine(folder)["weights"]

    assert [none.level, right.level, changed.level] == [Level.WARN, Level.OK, Level.FAIL]
    assert f"{first} has a wrong SHA-256" in changed.said
