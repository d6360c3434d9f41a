"""The fetcher against real servers on the loopback, and its cost for tenants."""

import contextlib
import itertools
import math
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator
from types import SimpleNamespace
from typing import cast

import pytest
from sqlalchemy import Engine, text

from smart_filter_shared.config.settings import OutboundSettings
from smart_filter_shared.db import sessions
from smart_filter_shared.errors import (
    ImageTooLarge,
    InputsExpired,
    PhotoUnreachable,
    PictureTemporarilyUnreachable,
)
from smart_filter_shared.jobs.photo_queue import WORKER
from smart_filter_shared.operations import settlement
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.queue.leases import Failure
from smart_filter_shared.recipe import Background, BackgroundKind, Recipe
from smart_filter_tests import web
from smart_filter_tests.bench import TENANT, Bench
from smart_filter_tests.full_stack import RunningStack
from smart_filter_tests.tls_certificates import TlsCertificate, create_certificate
from smart_filter_tests.web import LOOPBACK, Names, Site, a_site, answer, ok, redirect
from smart_filter_workers.fetcher import Fetcher, FetchLimits
from smart_filter_workers.fetcher.ssrf_guard import resolve_host
from smart_filter_workers.runtime import error_policy, steps
from smart_filter_workers.runtime.bells.stage_events import StageEvents
from smart_filter_workers.runtime.context import WorkerContext
from smart_filter_workers.runtime.task import Task

# The certificate is for this name.
NAME = "photos.test"
AT_LOOPBACK = {host: [[LOOPBACK]] for host in (NAME, "other.test")}
IMPATIENT = FetchLimits(silence_seconds=0.1)
AWAY = Failure("photo_unreachable", "It cannot be fetched", "404")
# An address answers within this time; only the tested fault exceeds it.
SLOW_SECONDS = 0.5
# No child process has started and imported its modules within this time.
CHILD_SECONDS = 0.05


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> TlsCertificate:
    """A certificate of NAME."""
    return create_certificate(tmp_path_factory.mktemp("tls"), NAME)


def a_fetcher(
    *,
    allow: tuple[str, ...] = (LOOPBACK,),
    limits: FetchLimits | None = None,
    names: Names | None = None,
    trusted: ssl.SSLContext | None = None,
) -> Fetcher:
    return Fetcher(
        OutboundSettings(allow=allow),
        limits=limits,
        resolve=names or Names(AT_LOOPBACK),
        trusted=trusted,
    )


def endless(piece: bytes) -> Callable[[threading.Event], Iterable[bytes]]:
    def pieces(_: threading.Event) -> Iterable[bytes]:
        return itertools.chain([answer(200, transfer__encoding="chunked")], itertools.repeat(piece))

    return pieces


def silent_after(said: bytes) -> Callable[[threading.Event], Iterable[bytes]]:
    def pieces(closing: threading.Event) -> Iterable[bytes]:
        yield said
        closing.wait()

    return pieces


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-",
        answer(200, b"the beginning", content__length="1000"),
        answer(200, b"5\r\nhello\r\n", transfer__encoding="chunked"),
        redirect("/silent"),
    ],
)
def test_server_that_falls_silent_is_abandoned(said: bytes) -> None:
    with (
        a_site({"/": silent_after(said), "/silent": silent_after(b"")}) as site,
        pytest.raises(PictureTemporarilyUnreachable, match=r"silent for 0\.1 s"),
    ):
        a_fetcher(limits=IMPATIENT).fetch(f"{site.url}/")


def test_server_that_never_pauses_and_never_ends_is_abandoned_in_time() -> None:
    limits = FetchLimits(most_bytes=10**12, seconds=0.3)
    with (
        a_site({"/": endless(b"1\r\nx\r\n")}) as site,
        pytest.raises(PictureTemporarilyUnreachable, match=r"longer than 0\.3 s"),
    ):
        a_fetcher(limits=limits).fetch(f"{site.url}/")


def test_head_that_never_ends_is_abandoned() -> None:
    def pieces(_: threading.Event) -> Iterable[bytes]:
        return itertools.chain([b"HTTP/1.1 200 OK\r\n"], itertools.repeat(b"X-More: of it\r\n"))

    with a_site({"/": pieces}) as site, pytest.raises(PictureTemporarilyUnreachable, match="HTTP"):
        a_fetcher().fetch(f"{site.url}/")


def test_body_that_never_ends_is_cut_off_at_the_limit() -> None:
    with (
        a_site({"/": endless(b"10000\r\n" + b"x" * 65536 + b"\r\n")}) as site,
        pytest.raises(ImageTooLarge, match="more than 1000000 bytes"),
    ):
        a_fetcher(limits=FetchLimits(most_bytes=1_000_000)).fetch(f"{site.url}/")


def test_slow_name_look_up_is_abandoned() -> None:
    answered = threading.Event()

    def never(_: str) -> list[str]:
        answered.wait()
        return [LOOPBACK]

    fetcher = Fetcher(OutboundSettings(), limits=FetchLimits(seconds=0.05), resolve=never)
    with pytest.raises(PictureTemporarilyUnreachable, match="in time"):
        fetcher.fetch(f"http://{NAME}/")

    answered.set()


def test_names_are_resolved_by_this_machines_resolver() -> None:
    assert {*resolve_host("localhost")} & {LOOPBACK, "::1"}
    assert [resolve_host(name) for name in ("a" * 64, "b" * 300, "\udcff.test")] == [[], [], []]


def secure_url(site: Site, host: str = NAME) -> str:
    return f"https://{host}:{site.port}/a"


def test_certificate_is_checked_for_the_name_and_the_name_is_announced(
    certificate: TlsCertificate,
) -> None:
    with a_site({"/a": ok(b"a picture")}, tls=certificate.serving()) as site:
        fetched = a_fetcher(trusted=certificate.trusting()).fetch(secure_url(site))

    assert fetched.content == b"a picture"
    assert site.names == [NAME]
    assert f"Host: {NAME}:{site.port}\r\n".encode() in site.requests[0]


@pytest.mark.parametrize(
    ("host", "is_trusted"), [("other.test", True), (LOOPBACK, True), (NAME, False)]
)
def test_certificate_of_another_name_or_without_trust_is_refused(
    certificate: TlsCertificate, *, host: str, is_trusted: bool
) -> None:
    trusted = certificate.trusting() if is_trusted else None
    with (
        a_site({"/a": ok(b"another's")}, tls=certificate.serving()) as site,
        pytest.raises(PhotoUnreachable, match="certificate"),
    ):
        a_fetcher(trusted=trusted).fetch(secure_url(site, host))

    assert site.requests == []


def slow(closing: threading.Event) -> Iterable[bytes]:
    closing.wait(SLOW_SECONDS)
    yield web.answer(404, content__length="0")


@contextlib.contextmanager
def dead_connection(bench: Bench) -> Iterator[Engine]:
    """Return an engine whose connection the server has just ended: its next transaction fails."""
    # With a stopped clock, because the engine tests a connection that was idle for a second.
    engine = sessions.open_engine(bench.settings.database, connections=1, clock=float)
    try:
        with sessions.transaction(engine) as connection:
            backend = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        bench.execute("SELECT pg_terminate_backend(:pid, 5000)", pid=backend)
        yield engine
    finally:
        engine.dispose()


def fetch_in_vain() -> None:
    raise PhotoUnreachable("https://example.com/a answers 404")


def finish(bench: Bench) -> float:
    """Return the place in virtual time where the tenant's work ends, after settling."""
    bench.work(settlement.settle)
    return float(bench.scalar("SELECT finish FROM tenants WHERE name = :tenant", tenant=TENANT))


def test_worker_charges_the_time_of_a_slow_address_that_failed(running_stack: RunningStack) -> None:
    with web.a_site({"/photo.jpg": slow}) as site:
        fields = {"photo_url": (None, f"{site.url}/photo.jpg")}
        answer = running_stack.client.post("/v1/jobs", files=fields)
        assert answer.status_code == 202, answer.text
        job = running_stack.wait(str(answer.json()["id"]))

    (prepare,) = [stage for stage in job["stages"] if stage["name"] == "prepare"]
    assert job["error"]["code"] == "photo_unreachable"
    assert prepare["seconds"] >= SLOW_SECONDS


def test_failed_fetch_is_settled_despite_a_lost_database_connection(bench: Bench) -> None:
    job_id = bench.submit_elsewhere(photo_url="https://example.com/a")
    task = Task(bench.claim_one(StageName.PREPARE), overdue_at=math.inf, fetching_seconds=30.0)

    with dead_connection(bench) as engine:
        stage_events = StageEvents(bench.settings.broker, bench.worker, max_attempts=3)
        context = cast(
            WorkerContext,
            SimpleNamespace(engine=engine, settings=bench.settings, stage_events=stage_events),
        )
        with error_policy.settle_errors(context, [task], "internal"):
            fetch_in_vain()

    assert (bench.job(job_id).error or {})["code"] == "photo_unreachable"
    assert bench.row(job_id, StageName.PREPARE)["seconds"] == 30.0


@pytest.mark.slow
def test_start_of_a_child_process_is_not_charged_as_fetching(bench: Bench) -> None:
    background = Background(kind=BackgroundKind.URL, value="https://example.com/b")
    job_id = bench.submit(Recipe(background=background), photo="photo that is gone")
    bench.advance(StageName.PREPARE, StageName.SEGMENTATION)
    lease = bench.claim_one(StageName.COMPOSITE)
    task = Task(lease, overdue_at=math.inf, row=bench.job(job_id))
    context = cast(WorkerContext, SimpleNamespace(settings=bench.settings, extra_models=()))

    with pytest.raises(InputsExpired):
        steps.run_in_child(context, task)

    (infer,) = task.trail.steps_of(task.lease)
    assert 0 < task.fetching_seconds < (infer.ended_ns - infer.began_ns) / 1e9 - CHILD_SECONDS


def test_failed_fetch_is_not_refunded(bench: Bench) -> None:
    bench.submit_elsewhere(photo_url="https://example.com/a")
    lease = bench.claim_one(StageName.PREPARE)
    before = finish(bench)

    bench.work(WORKER.charge, lease, 30.0)
    bench.work(WORKER.fail, lease, AWAY)

    assert finish(bench) > before + 20
