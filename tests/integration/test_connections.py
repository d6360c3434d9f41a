"""Connections to PostgreSQL, Redis and storage: dead, idle, refused or silent."""

import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import anyio
import pytest
from pydantic import SecretStr
from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from smart_filter_api.auth.rate_limit import RateLimiter
from smart_filter_deploy.cli.terminal.exit_codes import NO_SERVER
from smart_filter_deploy.embedded.stack import Stack
from smart_filter_shared import doorbell
from smart_filter_shared.config.settings import BrokerSettings, StorageSettings
from smart_filter_shared.db import driver_queries, sessions
from smart_filter_shared.db.bounded_connections import BoundedConnection
from smart_filter_shared.db.repeated_query import RepeatedQuery
from smart_filter_shared.errors import DatabaseUnavailable, StorageMisconfigured, StorageUnavailable
from smart_filter_shared.ids import Tenant
from smart_filter_shared.storage.opening import open_store
from smart_filter_tests import http_server, outages
from smart_filter_tests.bench import TENANT, Bench, settings_of
from smart_filter_tests.commands import Command
from smart_filter_tests.http_server import ReceivedRequest, Reply
from smart_filter_tests.patience import PATIENCE_SECONDS
from smart_filter_tests.proxy import Mode, Proxy, before_broker

BACKEND = text("SELECT pg_backend_pid()")
SLEEP = text("SELECT pg_sleep(:seconds)")
WRITE = text("INSERT INTO tenants (name, finish) VALUES ('a', 0)")
COUNT = text("SELECT count(*) FROM tenants")
SECRET = "hush-hush-hush-hush"
URL = "SMART_FILTER_STORAGE_URL"
# The wrong setting and its value, and the words for it. Storage that is down may come back.
AWAY = {
    "host": (URL, "http://nowhere.invalid:9000", "has an unknown host name"),
    "port": (URL, "http://127.0.0.1:9", "does not answer (Connection refused)"),
    "tls": (URL, "https://{server}", "does not use TLS"),
}
REFUSED = {
    "key": ("SMART_FILTER_STORAGE_ACCESS_KEY", "unknown", "does not know the access key"),
    "secret": (
        "SMART_FILTER_STORAGE_SECRET_KEY",
        SECRET,
        "reports that the secret key does not belong to the access key",
    ),
    "bucket": ("SMART_FILTER_STORAGE_BUCKET", "not-there", "has no bucket not-there"),
}


class Clock:
    """Seconds that a test advances."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def engine(bench: Bench, clock: Clock) -> Iterator[Engine]:
    engine = sessions.open_engine(bench.settings.database, connections=1, clock=clock)
    yield engine
    engine.dispose()


@contextlib.asynccontextmanager
async def loop_engine(
    bench: Bench, clock: Callable[[], float] = float
) -> AsyncIterator[AsyncEngine]:
    """Open an engine of one connection for an event loop; by default its clock stands still."""
    engine = sessions.open_async_engine(bench.settings.database, connections=1, clock=clock)
    try:
        yield engine
    finally:
        await engine.dispose()


def use(engine: Engine) -> int:
    """Use the engine's one connection; return its process on the server."""
    with sessions.transaction(engine) as connection:
        return int(connection.execute(BACKEND).scalar_one())


def find_backend(connection: Connection) -> int:
    return int(connection.execute(BACKEND).scalar_one())


def write(engine: Engine) -> None:
    with sessions.transaction(engine) as connection:
        connection.execute(WRITE)


def kill(bench: Bench, backend: int) -> None:
    """End a connection's process on the server, and wait until it is gone."""
    bench.execute("SELECT pg_terminate_backend(:pid, 5000)", pid=backend)


def test_connection_that_died_while_idle_is_replaced_silently(
    bench: Bench, engine: Engine, clock: Clock
) -> None:
    first = use(engine)
    kill(bench, first)
    clock.seconds += 2

    assert use(engine) != first


def test_connection_that_died_a_moment_ago_fails_once(bench: Bench, engine: Engine) -> None:
    first = use(engine)
    kill(bench, first)

    with pytest.raises(DatabaseUnavailable):
        use(engine)

    assert use(engine) != first


def test_connection_of_an_event_loop_is_replaced_too(bench: Bench, clock: Clock) -> None:
    async def look() -> tuple[int, int]:
        async with loop_engine(bench, clock) as engine:
            async with sessions.async_transaction(engine) as connection:
                first = (await connection.execute(BACKEND)).scalar_one()
            await anyio.to_thread.run_sync(kill, bench, first)
            clock.seconds += 2
            second = await sessions.async_query(sessions.reader(engine), find_backend)
        return first, second

    first, second = anyio.run(look)

    assert first != second


def test_reader_leaves_the_transaction_mode_of_its_connection_unchanged(bench: Bench) -> None:
    async def look() -> int:
        async with loop_engine(bench) as engine:
            await sessions.async_query(sessions.reader(engine), find_backend)
            with contextlib.suppress(RuntimeError):
                async with sessions.async_transaction(engine) as connection:
                    await connection.execute(WRITE)
                    raise RuntimeError
            return await sessions.async_query(
                sessions.reader(engine), lambda opened: int(opened.execute(COUNT).scalar_one())
            )

    assert anyio.run(look) == 0


def test_statement_that_is_canceled_leaves_no_used_connection(bench: Bench) -> None:
    def sleep(connection: Connection) -> None:
        driver_queries.fetch_rows(connection, SLEEP, {"seconds": PATIENCE_SECONDS})

    def is_asleep() -> bool:
        asleep = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
        return bool(bench.scalar(asleep))

    async def look() -> tuple[int, int]:
        async with loop_engine(bench) as engine:
            reader = sessions.reader(engine)
            first = await sessions.async_query(reader, find_backend)
            async with anyio.create_task_group() as asking:
                asking.start_soon(sessions.async_query, reader, sleep)
                await anyio.to_thread.run_sync(outages.wait_until, is_asleep)
                asking.cancel_scope.cancel()
            return first, await sessions.async_query(reader, find_backend)

    first, second = anyio.run(look)

    assert first != second


def test_connections_leave_a_replica_after_a_failover(bench: Bench) -> None:
    engine = sessions.open_engine(bench.settings.database, connections=2)
    try:
        with outages.read_only(bench):
            with sessions.transaction(engine) as other:
                others = other.execute(BACKEND).scalar_one()
                with pytest.raises(DatabaseUnavailable, match="read-only"):
                    write(engine)
            outages.point_name_at_primary(bench)

            backends = [use(engine), use(engine)]  # the pool uses its connections in turn
            write(engine)
    finally:
        engine.dispose()
    assert others not in backends


@pytest.mark.usefixtures("bench")
def test_statements_that_are_sent_together_fail_together(engine: Engine) -> None:
    write = text("INSERT INTO tenants (name, finish) VALUES ('a', 0) RETURNING name")
    divide = text("SELECT 1 / :by")

    for _ in range(2):  # what the first round has prepared may be lost
        with pytest.raises(DBAPIError, match="division"), sessions.transaction(engine) as opened:
            driver_queries.fetch_all(opened, (write, {}), (divide, {"by": 0}))

    with sessions.transaction(engine) as connection:
        rows = driver_queries.fetch_all(connection, (COUNT, {}), (write, {}), (divide, {"by": 1}))
    assert rows == [[(0,)], [("a",)], [(1,)]]


@pytest.fixture
def repeated(engine: Engine, clock: Clock) -> Iterator[RepeatedQuery]:
    """A query for the process on the server, which is given something else to return or null."""
    query = text("SELECT coalesce(nullif(:given, ''), CAST(pg_backend_pid() AS text))")
    repeated = RepeatedQuery(sessions.reader(engine), query, clock=clock)
    yield repeated
    repeated.close()


def test_repeated_query_holds_its_connection(repeated: RepeatedQuery, clock: Clock) -> None:
    first = repeated.fetch_value(given="")
    clock.seconds += 5

    assert repeated.fetch_value(given="") == first
    assert repeated.fetch_value(given="ü") == "ü"


def test_repeated_query_fails_once_when_its_connection_has_died(
    bench: Bench, repeated: RepeatedQuery
) -> None:
    first = repeated.fetch_value(given="")
    kill(bench, int(str(first)))

    with pytest.raises(DatabaseUnavailable):
        repeated.fetch_value(given="")

    assert repeated.fetch_value(given="") not in {None, first}


def test_repeated_query_goes_on_after_another_user_of_its_connection_rolled_back(
    engine: Engine, repeated: RepeatedQuery
) -> None:
    first = repeated.fetch_value(given="")
    repeated.close()
    for _ in range(10):  # the pool uses its connections in turn
        with engine.connect() as connection:
            for _ in range(7):  # the driver prepares a statement that is repeated
                connection.execute(text("SELECT 1"))
            connection.rollback()  # and deallocates all

    assert {repeated.fetch_value(given="") for _ in range(2)} != {None}
    assert first


def test_repeated_query_leaves_a_replica_after_a_failover(bench: Bench, clock: Clock) -> None:
    engine = sessions.open_engine(bench.settings.database, connections=2)
    repeated = RepeatedQuery(sessions.reader(engine), BACKEND, clock=clock)
    try:
        with outages.read_only(bench):
            first = repeated.fetch_value()
            with pytest.raises(DatabaseUnavailable, match="read-only"):
                write(engine)
            outages.point_name_at_primary(bench)
            clock.seconds += 11

            assert repeated.fetch_value() != first
    finally:
        repeated.close()
        engine.dispose()


def test_repeated_query_is_not_prepared_behind_a_pooler_that_would_lose_it(
    engine: Engine, repeated: RepeatedQuery
) -> None:
    @event.listens_for(engine, "connect")
    def note_pooler(connection: BoundedConnection, _: object) -> None:
        connection.prepare_threshold = None

    repeated.fetch_value(given="")
    repeated.close()

    with engine.connect() as connection:
        prepared = connection.execute(text("SELECT name FROM pg_prepared_statements")).all()
    assert prepared == []


@pytest.mark.usefixtures("bench")
def test_error_rolls_back_its_savepoint_or_its_transaction(engine: Engine) -> None:
    with sessions.transaction(engine) as connection:
        connection.execute(WRITE)
        with pytest.raises(IntegrityError), connection.begin_nested():
            connection.execute(WRITE)
    with pytest.raises(DBAPIError), sessions.transaction(engine) as connection:
        connection.execute(text("WITH gone AS (DELETE FROM tenants) SELECT CAST('no' AS int)"))

    with sessions.transaction(engine) as connection:
        assert connection.execute(COUNT).scalar_one() == 1


def test_idle_transaction_ends_unless_it_migrates(bench: Bench, engine: Engine) -> None:
    patience = f"{bench.settings.database.patience_seconds / 60:g}min"
    idles = text("SELECT current_setting('idle_in_transaction_session_timeout')")

    with sessions.transaction(engine) as connection:
        assert connection.execute(idles).scalar_one() == patience
    with sessions.transaction(sessions.for_idle_transactions(engine)) as connection:
        assert connection.execute(idles).scalar_one() == "0"


@pytest.fixture
def through(bench: Bench) -> Iterator[tuple[Proxy, BrokerSettings]]:
    """A breakable proxy to Redis, and settings that lead through it."""
    with before_broker(bench.settings.broker) as found:
        yield found


@asynccontextmanager
async def rates_of(
    settings: BrokerSettings, *, wait_seconds: float = PATIENCE_SECONDS
) -> AsyncIterator[RateLimiter]:
    # On a busy machine Redis is slow, not down.
    rates = RateLimiter(settings, clock=lambda: 0.0, wait_seconds=wait_seconds)
    try:
        yield rates
    finally:
        await rates.close()


def granted(times: int, rates: RateLimiter, per_minute: int = 5) -> Callable[[], Awaitable[int]]:
    async def take() -> int:
        return sum([(await rates.take(TENANT, per_minute)).is_granted for _ in range(times)])

    return take


def test_processes_share_one_bucket(bench: Bench) -> None:
    async def take() -> list[int]:
        async with rates_of(bench.settings.broker) as one, rates_of(bench.settings.broker) as other:
            await one.look()
            await other.look()
            return [await granted(4, one)(), await granted(4, other)()]

    assert anyio.run(take) == [4, 1]


def test_refusal_names_the_time_of_the_next_token_for_this_tenant(bench: Bench) -> None:
    async def take() -> tuple[int, int, bool]:
        async with rates_of(bench.settings.broker) as rates:
            await rates.look()
            await granted(5, rates)()
            refused = await rates.take(TENANT, 5)
            other = await rates.take(Tenant("another"), 5)
            return refused.remaining, refused.more_in_seconds, other.is_granted

    assert anyio.run(take) == (0, 12, True)


def test_bucket_is_removed_when_it_is_full_again(bench: Bench) -> None:
    async def take() -> None:
        async with rates_of(bench.settings.broker) as rates:
            await rates.look()
            await granted(2, rates, per_minute=60)()

    anyio.run(take)

    (key,) = bench.broker.scan_iter("smart-filter:rate:*")
    assert 2000 < int(bench.broker.pttl(key)) <= 3000


@pytest.mark.parametrize("mode", [Mode.RESET, Mode.SWALLOW])
def test_limits_hold_without_redis(through: tuple[Proxy, BrokerSettings], mode: Mode) -> None:
    proxy, settings = through

    async def take() -> tuple[int, int]:
        async with rates_of(settings, wait_seconds=0.03) as rates:
            rates.is_away = False
            proxy.mode = mode
            return await granted(20, rates)(), await granted(20, rates)()

    assert anyio.run(take) == (5, 0)


def test_local_bucket_is_used_until_redis_is_back(through: tuple[Proxy, BrokerSettings]) -> None:
    proxy, settings = through

    async def take() -> list[int]:
        async with rates_of(settings) as rates:
            await rates.look()
            before = await granted(3, rates)()
            proxy.mode = Mode.RESET
            proxy.cut()
            local = await granted(20, rates)()
            await rates.look()
            proxy.mode = Mode.PASS
            was_away = rates.is_away
            await rates.look()
            return [before, local, was_away, rates.is_away]

    assert anyio.run(take) == [3, 2, True, False]


def test_only_one_request_asks_silent_redis(
    bench: Bench, through: tuple[Proxy, BrokerSettings]
) -> None:
    proxy, settings = through

    async def take() -> int:
        async with rates_of(settings, wait_seconds=0.2) as rates:
            rates.is_away = False
            proxy.mode = Mode.SWALLOW
            await rates.take(TENANT, 1000)
            proxy.mode = Mode.PASS
            return await granted(200, rates, per_minute=1000)()

    assert anyio.run(take) == 200
    assert list(bench.broker.scan_iter("smart-filter:rate:*")) == []


@pytest.mark.parametrize("trouble", AWAY | REFUSED)
def test_unusable_storage_names_the_setting_to_correct(servers: Stack, trouble: str) -> None:
    variable, value, words = (AWAY | REFUSED)[trouble]
    server = servers.addresses.environment()[URL].removeprefix("http://")
    given = settings_of(servers.addresses, **{variable: value.format(server=server)})

    with pytest.raises(StorageUnavailable) as raised:
        open_store(given.storage, connections=1).check()

    line = str(raised.value)
    assert isinstance(raised.value, StorageMisconfigured) is (trouble in REFUSED)
    assert (words in line, variable in line, SECRET in line) == (True, True, False)
    assert not re.search(r"[A-Za-z]+Error|Traceback", line)


@pytest.mark.parametrize(
    "words",
    [["audit"], ["api", "--port", "1"], ["worker", "--stages", "prepare"]],
    ids=" ".join,
)
def test_command_ends_in_one_line_when_storage_refuses_it(
    command: Command, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    monkeypatch.setenv("SMART_FILTER_STORAGE_SECRET_KEY", SECRET)

    given = command.output(*words)

    assert given.count("\n") == 1
    assert "SMART_FILTER_STORAGE_SECRET_KEY" in given
    assert SECRET not in given
    assert command.status(*words) == NO_SERVER


def test_refused_password_of_the_broker_is_logged_and_ends_nothing(servers: Stack) -> None:
    broker = urlsplit(servers.addresses.broker_url)
    url = SecretStr(f"redis://:{SECRET}@127.0.0.1:{broker.port}/0")

    with capture_logs() as logged:
        doorbell.warn_of_refusal(BrokerSettings(url=url))

    assert [line["event"] for line in logged] == ["broker_rejects_process"]
    assert SECRET not in str(logged)


@contextlib.contextmanager
def troubled_server(*, closes: bool) -> Iterator[tuple[str, list[int]]]:
    """Serve each connection one answer; close it at the second request, or answer that 500.

    Yields its URL, and the ports that requests came from.
    """
    came_from: list[int] = []

    def answer(request: ReceivedRequest) -> Reply | None:
        came_from.append(request.client_port)
        has_trouble = came_from.count(request.client_port) == 2
        if has_trouble and closes:
            return None
        return Reply(500 if has_trouble else 200, b"photo")

    with http_server.serve(answer, keeps_connections=True) as url:
        yield url, came_from


@pytest.mark.parametrize("closes", [True, False])
def test_request_that_is_interrupted_or_answered_500_is_retried(*, closes: bool) -> None:
    with troubled_server(closes=closes) as (url, came_from):
        settings = StorageSettings(url=url, access_key=SecretStr("a"), secret_key=SecretStr("b"))
        store = open_store(settings, connections=1)

        contents = [store.get("key", most=100) for _ in range(2)]

    assert contents == [b"photo", b"photo"]
    assert len(came_from) == 3
