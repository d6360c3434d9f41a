"""Servers that are silent or slow on open connections: every wait for them ends."""

import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import pytest
from pydantic import SecretStr
from sqlalchemy import Connection, Engine, TextClause, text

from smart_filter_shared.config.settings import DatabaseSettings, StorageSettings
from smart_filter_shared.db import sessions
from smart_filter_shared.errors import DatabaseUnavailable, StatementTimedOut, StorageUnavailable
from smart_filter_shared.storage.bounded_transfers import TransferLimits
from smart_filter_shared.storage.s3 import S3Store
from smart_filter_tests import http_server
from smart_filter_tests.bench import Bench
from smart_filter_tests.http_server import ReceivedRequest, Reply
from smart_filter_tests.proxy import Proxy, before_database
from smart_filter_tests.tls_certificates import TlsCertificate, create_certificate

PATIENT_SECONDS = 60.0
# The client waits four seconds longer.
SHORT_SECONDS = 0.1


def find_backend(connection: Connection) -> int:
    return int(connection.execute(text("SELECT pg_backend_pid()")).scalar_one())


def use(engine: Engine) -> int:
    """Use the engine's one connection; return its process on the server."""
    with sessions.transaction(engine) as connection:
        return find_backend(connection)


@pytest.fixture
def frozen(bench: Bench) -> Iterator[tuple[Proxy, DatabaseSettings]]:
    """A proxy to the database, and settings that lead through it."""
    with before_database(bench.settings.database) as found:
        yield found


@pytest.mark.slow
def test_statement_on_a_frozen_connection_ends(frozen: tuple[Proxy, DatabaseSettings]) -> None:
    proxy, settings = frozen
    engine = sessions.open_engine(settings, connections=1, statement_seconds=SHORT_SECONDS)
    try:
        first = use(engine)
        proxy.freeze()
        with pytest.raises(DatabaseUnavailable, match="has not answered"):
            use(engine)

        assert use(engine) != first
    finally:
        engine.dispose()


@pytest.mark.slow
def test_statement_on_a_frozen_connection_ends_in_an_event_loop(
    frozen: tuple[Proxy, DatabaseSettings],
) -> None:
    proxy, settings = frozen

    async def look() -> None:
        engine = sessions.open_async_engine(
            settings, connections=1, statement_seconds=SHORT_SECONDS
        )
        reader = sessions.reader(engine)
        try:
            await sessions.async_query(reader, find_backend)
            proxy.freeze()
            with pytest.raises(DatabaseUnavailable, match="has not answered"):
                await sessions.async_query(reader, find_backend)
            await sessions.async_query(reader, find_backend)
        finally:
            await engine.dispose()

    anyio.run(look)


@pytest.mark.slow
def test_idle_connection_that_is_frozen_is_replaced_silently(
    frozen: tuple[Proxy, DatabaseSettings],
) -> None:
    proxy, settings = frozen
    seconds = [100.0]
    engine = sessions.open_engine(settings, connections=1, clock=lambda: seconds[0])
    try:
        first = use(engine)
        proxy.freeze()
        seconds[0] += 2

        assert use(engine) != first
    finally:
        engine.dispose()


def test_server_limits_each_statement(bench: Bench) -> None:
    limit = text("SELECT setting FROM pg_settings WHERE name = 'statement_timeout'")
    reading = text("SELECT pg_sleep(60)")

    async def read(statement: TextClause) -> object:
        engine = sessions.open_async_engine(bench.settings.database, connections=1)
        try:
            return await sessions.async_query(
                sessions.reader(engine), lambda opened: opened.execute(statement).scalar_one()
            )
        finally:
            await engine.dispose()

    engine = sessions.open_engine(bench.settings.database, connections=1, statement_seconds=0.1)
    try:
        with sessions.transaction(sessions.for_idle_transactions(engine)) as connection:
            migrating = connection.execute(limit).scalar_one()
        with pytest.raises(StatementTimedOut), sessions.transaction(engine) as connection:
            connection.execute(reading)
    finally:
        engine.dispose()
    assert anyio.run(read, limit) == "15000"
    assert migrating == "86400000"


def test_tcp_notices_a_lost_server(bench: Bench) -> None:
    engine = sessions.open_engine(bench.settings.database, connections=1)
    with sessions.connection(engine) as connection:
        driver: Any = connection.connection.driver_connection
        with socket.socket(fileno=os.dup(driver.fileno())) as opened:
            options = [
                opened.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE),
                opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE),
                opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL),
                opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT),
            ]
    engine.dispose()

    assert options == [1, 5, 5, 15_000]


@contextlib.contextmanager
def before_storage(url: str) -> Iterator[tuple[Proxy, StorageSettings]]:
    """Yield a proxy before a storage server, and settings that lead through it."""
    address = urlsplit(url)
    assert address.hostname is not None
    assert address.port is not None
    with Proxy(address.hostname, address.port) as proxy:
        through = f"http://127.0.0.1:{proxy.port}"
        key = SecretStr("a")
        yield proxy, StorageSettings(url=through, access_key=key, secret_key=key)


def wrap(client: socket.socket, certificate: TlsCertificate) -> socket.socket:
    return certificate.serving().wrap_socket(client, server_side=True)


@contextlib.contextmanager
def slow_storage(
    beginning: bytes | None, certificate: TlsCertificate | None = None
) -> Iterator[S3Store]:
    """A store, with half a second for a transfer, whose server is slow.

    It answers with this beginning, and then with a byte now and then; None: it reads nothing.
    certificate: for a server with https.
    """
    ended = threading.Event()

    def accept() -> socket.socket:
        client, _ = listening.accept()
        return client if certificate is None else wrap(client, certificate)

    def serve() -> None:
        with contextlib.suppress(OSError), accept() as client:
            if beginning is not None:
                client.recv(65536)
                client.sendall(beginning)
            while not ended.wait(0.05):
                if beginning is not None:
                    client.sendall(b"x")

    scheme = "http" if certificate is None else "https"
    with contextlib.ExitStack() as held:
        listening = held.enter_context(socket.create_server(("127.0.0.1", 0)))
        thread = threading.Thread(target=serve)
        thread.start()
        held.callback(thread.join)
        held.callback(ended.set)
        settings = StorageSettings(
            url=f"{scheme}://localhost:{listening.getsockname()[1]}",
            access_key=SecretStr("a"),
            secret_key=SecretStr("b"),
        )
        yield S3Store(settings, connections=1, limits=TransferLimits(seconds=0.5))


@pytest.mark.parametrize(
    "beginning",
    [b"HTTP/1.1 200 OK\r\nX-Long: ", b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"],
    ids=["headers", "body"],
)
def test_storage_that_sends_a_byte_now_and_then_is_unavailable(beginning: bytes) -> None:
    with slow_storage(beginning) as store, pytest.raises(StorageUnavailable, match="in time"):
        store.get("key", most=1_000_000)


@pytest.mark.parametrize("beginning", [b"HTTP/1.1 200 OK\r\nX-Long: ", None])
def test_slow_storage_with_https_is_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, beginning: bytes | None
) -> None:
    certificate = create_certificate(tmp_path, "localhost")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.chain))
    content = bytes(40_000_000)

    with (
        slow_storage(beginning, certificate) as store,
        pytest.raises(StorageUnavailable, match="in time"),
    ):
        store.put("key", content, length=len(content), media_type="image/png")


def test_storage_that_is_silent_on_all_connections_fails_one_request() -> None:
    together = threading.Barrier(2)
    calls: list[str] = []

    def get(key: str) -> bytes:
        return store.get(key, most=100)

    def answer(request: ReceivedRequest) -> Reply:
        calls.append(request.path)
        if len(calls) <= together.parties:
            together.wait(PATIENT_SECONDS)
        return Reply(200, b"photo")

    with (
        http_server.serve(answer, keeps_connections=True) as url,
        before_storage(url) as (proxy, settings),
        ThreadPoolExecutor() as threads,
    ):
        limits = TransferLimits(silence_seconds=0.5, idle_seconds=PATIENT_SECONDS)
        store = S3Store(settings, connections=2, limits=limits)
        assert list(threads.map(get, ["one", "two"])) == [b"photo"] * 2
        proxy.freeze()

        with pytest.raises(StorageUnavailable):
            store.get("lost", most=100)
        # While it is read, others need the next connection.
        pieces = store.stream("held", most=100)
        assert store.get("next", most=100) == b"photo"
        assert list(pieces) == [b"photo"]


def test_connection_to_storage_that_has_idled_is_not_used_again() -> None:
    with (
        http_server.serve(lambda _: Reply(200, b"photo"), keeps_connections=True) as url,
        before_storage(url) as (proxy, settings),
    ):
        store = S3Store(settings, connections=1, limits=TransferLimits(idle_seconds=0))
        store.get("one", most=100)
        proxy.freeze()

        assert store.get("two", most=100) == b"photo"


def test_storage_that_reads_nothing_is_unavailable() -> None:
    content = bytes(40_000_000)

    with slow_storage(None) as store, pytest.raises(StorageUnavailable, match="in time"):
        store.put("key", content, length=len(content), media_type="image/png")


def test_reader_that_pauses_gets_the_whole_object() -> None:
    content = bytes(5_000_000)
    with http_server.serve(lambda _: Reply(200, content)) as url:
        settings = StorageSettings(url=url, access_key=SecretStr("a"), secret_key=SecretStr("b"))
        store = S3Store(settings, connections=1, limits=TransferLimits(seconds=0.5))

        pieces = store.stream("key", most=len(content))
        read = len(next(pieces))
        time.sleep(0.6)
        read += sum(len(piece) for piece in pieces)

    assert read == len(content)
