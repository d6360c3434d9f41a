"""Open engines and transactions, and translate the driver's errors.

Statements are SQLAlchemy Core or SQL text: on hot paths the ORM costs a third of the speed.

The driver sends no BEGIN of its own. A transaction has settings: behind a pooler, the message that
begins it sets them for it alone. On a connection to the server itself they are of the session, and
are set again only when the next transaction has others: nine settings took longer than a claim.

Each statement has two deadlines. The server cancels it after `statement_timeout`, and its outcome
is then known. `_GRACE_SECONDS` later the client closes a connection whose server is silent.
"""

import contextlib
import time
from asyncio import CancelledError
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, TypeVar

from psycopg.errors import DuplicatePreparedStatement
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.engine.interfaces import DBAPIConnection, DBAPICursor, Dialect
from sqlalchemy.exc import DBAPIError, InterfaceError, InvalidatePoolError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection
from sqlalchemy.util import greenlet_spawn

from smart_filter_shared.config.settings import DatabaseSettings
from smart_filter_shared.db.bounded_connections import (
    PARAMETERS,
    BoundedAsyncConnection,
    BoundedConnection,
)
from smart_filter_shared.errors import (
    DatabaseMisconfigured,
    DatabaseUnavailable,
    Error,
    OutcomeUnknown,
    SetupFailed,
    StatementTimedOut,
)

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

Given = ParamSpec("Given")
Result = TypeVar("Result")
EngineKind = TypeVar("EngineKind", Engine, "AsyncEngine")

# Limit of a statement of a process that serves. No such statement takes more than a second or two;
# after a freeze, the process works again within 30 s.
STATEMENT_SECONDS: Final = 15.0
# Limit of a statement of the heartbeat: two that are silent must not cost a lease.
HEARTBEAT_SECONDS: Final = 5.0
# Limit of a statement of an operator's command, which may read whole tables.
COMMAND_SECONDS: Final = 3600.0
# Limit of a statement of a migration, which may build an index on a large table.
MIGRATION_SECONDS: Final = 24 * 3600.0
# From the server's deadline until the client's: for a cancellation to arrive on a busy machine.
_GRACE_SECONDS: Final = 4.0
_PING_AFTER_SECONDS = 1.0
# Limit of a ping: with a new connection after it, below the API's patience of 5 s.
_PING_SECONDS: Final = 2.0
_IDLE_SINCE = "idle_since"
_LOCK_TIMEOUT: Final = "'10s'"
BEGIN: Final = "BEGIN"
COMMIT: Final = "COMMIT"
_ENGINE_OPTIONS: Final[dict[str, Any]] = {
    "isolation_level": "AUTOCOMMIT",  # for the driver; `_begin` begins transactions
    "max_overflow": 0,
    "hide_parameters": True,  # else logs would contain URLs and secrets
}
# Names of the execution options with the server's settings by name, whether each statement commits
# itself, and the server's limit of a statement in seconds.
_SETTINGS: Final = "settings"
_IS_SINGLE: Final = "is_single"
_LIMIT: Final = "statement_seconds"
# For transactions that run the same few statements for every stage, and each statement finds a few
# rows by key. Each connection plans them once: planning took twice as long as running. A cached
# plan lives until the tables are analyzed again, which can be a minute after they have grown. It
# must therefore suit tables of any size, so only index scans are enabled.
_BY_KEY: Final = {
    "plan_cache_mode": "force_generic_plan",
    "jit": "off",
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    # A crash of the server can undo work under a lease, which is then done again; no client
    # sees it before (`events.flush_if_new`).
    "synchronous_commit": "off",
}
# Suffix of each statement of such a transaction. A cached plan ignores later changes of these
# settings, so the server must not share a prepared statement with transactions of another kind.
_BY_KEY_MARK: Final = " /* by key */"
# Below the API's patience of 5 s, after which it could not say what took so long.
LISTING_SECONDS: Final = 4
_IDLING: Final = {"idle_in_transaction_session_timeout": "0"}
# deadlock_detected, serialization_failure, lock_not_available and
# idle_in_transaction_session_timeout: the transaction can run again.
_RETRYABLE_SQLSTATES = frozenset({"40P01", "40001", "55P03", "25P03"})
# query_canceled: by `statement_timeout`, or by an administrator.
_CANCELED = "57014"
# read_only_sql_transaction: after a failover the host name may still lead to a replica.
_READ_ONLY = "25006"
# insufficient_privilege: the role of this process lacks a right (db/grants.py).
_DENIED = "42501"
# Classes whose errors leave open whether a statement was committed: connection exceptions, which
# PgBouncer reports too, and operator interventions. A cancel request or a shutdown can arrive
# between the commit and its answer. The code 40003 says it of itself.
# Source: PostgreSQL, Appendix A; src/backend/tcop/postgres.c, ProcessInterrupts.
_UNPROVEN_CLASSES: Final = ("08", "57", "40003")
# In messages of PostgreSQL and PgBouncer for a connection that is never accepted; libpq passes
# on no SQLSTATE. Source: PostgreSQL, src/backend/libpq/auth.c, src/backend/utils/init/postinit.c.
_REFUSALS: Final = (
    "authentication failed",
    "does not exist",
    "no pg_hba.conf entry",
    "no such database",
    "no such user",
)
_ENCODING: Final = "UTF8"
# Prefix of the names of psycopg's prepared statements.
_PREPARED = "_pg3_"


def open_engine(
    settings: DatabaseSettings,
    *,
    connections: int,
    statement_seconds: float = STATEMENT_SECONDS,
    clock: Callable[[], float] = time.monotonic,
) -> Engine:
    """Return an engine for threads, holding at most `connections`.

    statement_seconds: the limit of one statement.  clock: monotonic seconds.
    """
    options = _options(settings, connections, statement_seconds)
    engine = create_engine(settings.url.get_secret_value(), **options)
    event.listen(engine, "do_connect", _connect)
    _listen(engine, clock)
    return engine


def for_key_lookups(source: Engine) -> Engine:
    """Return an engine on the same connections whose statements find rows by key.

    For the statements that run for every stage. A statement that scans many rows does not belong
    here: it would be planned as if they were few. A commit does not wait for the disk: a crash of
    the server can undo the commits of the last second, together and in order.
    """
    return _with_settings(source, _BY_KEY)


def for_idle_transactions(source: Engine) -> Engine:
    """Return an engine on the same connections whose transactions may idle; for migrations only."""
    return _with_settings(source, _IDLING, statement_seconds=MIGRATION_SECONDS)


def open_async_engine(
    settings: DatabaseSettings,
    *,
    connections: int,
    statement_seconds: float = STATEMENT_SECONDS,
    clock: Callable[[], float] = time.monotonic,
) -> "AsyncEngine":
    """Return an engine for an event loop, holding at most `connections`.

    statement_seconds: the limit of one statement.  clock: monotonic seconds.
    """
    # It imports the ORM: 6 MB and 0.1 s, which processes without an event loop save.
    from sqlalchemy.ext.asyncio import create_async_engine  # noqa: PLC0415

    options = _options(settings, connections, statement_seconds)
    options["connect_args"] = {"async_creator_fn": BoundedAsyncConnection.connect, **PARAMETERS}
    engine = create_async_engine(settings.url.get_secret_value(), **options)
    _listen(engine.sync_engine, clock)
    return engine


def reader(source: EngineKind) -> EngineKind:
    """Return an engine on the same connections whose statements are transactions of their own.

    BEGIN and COMMIT cost two round trips, most of the time that reading one row takes.
    """
    # SQLAlchemy's isolation level would be set at each checkout and reset at each checkin.
    return source.execution_options(**{_IS_SINGLE: True})


def for_lists(source: "AsyncEngine") -> "AsyncEngine":
    """Return an engine on the same connections, for lists that may read many rows.

    Each statement ends after `LISTING_SECONDS`, with StatementTimedOut.
    """
    return source.execution_options(**{_LIMIT: LISTING_SECONDS})


@dataclass(slots=True)
class Sending:
    """Whether a COMMIT, or a statement that commits itself, may have been sent."""

    may_commit: bool = False


def has_certainly_failed(error: BaseException) -> bool:
    """Return whether an error proves that nothing was committed; only then undo anything.

    error: raised by a block or a function that writes to the database.
    """
    if isinstance(error, DBAPIError):
        return _proves_rollback(error)
    # A defect or a cancellation can come after a statement that has committed.
    return isinstance(error, Error) and not isinstance(error, OutcomeUnknown)


@contextmanager
def transaction(source: Engine) -> Iterator[Connection]:
    """Open a transaction that commits when the block succeeds, and rolls back when it raises.

    Raises DatabaseUnavailable when the database is down, or when the transaction should be
    retried; OutcomeUnknown when it may have been committed.
    """
    sending = Sending()
    with translate_errors(sending), source.begin() as connection:
        driver: Any = connection.connection.driver_connection
        driver.sending = sending
        yield connection
        sending.may_commit = True


@contextmanager
def connection(source: Engine) -> Iterator[Connection]:
    """Open a connection on which the block begins transactions.

    Raises DatabaseUnavailable, and OutcomeUnknown.
    """
    sending = Sending()
    with translate_errors(sending), source.connect() as opened:
        sending.may_commit = True
        yield opened


@asynccontextmanager
async def async_transaction(
    source: "AsyncEngine", sending: Sending | None = None
) -> AsyncIterator["AsyncConnection"]:
    """Open a transaction as `transaction` does, for an event loop.

    sending: is kept up to date, for a caller that limits the time.
    """
    sending = sending or Sending()
    with translate_errors(sending):
        async with source.begin() as connection:
            yield connection
            sending.may_commit = True


async def async_query(
    source: "AsyncEngine",
    function: Callable[Concatenate[Connection, Given], Result],
    *args: Given.args,
    **options: Given.kwargs,
) -> Result:
    """Call a function with a connection of a `reader`, without a transaction; return its result.

    Raises DatabaseUnavailable; OutcomeUnknown when the last statement may have been executed.
    """
    return await async_query_sending(source, Sending(), function, *args, **options)


async def async_query_sending(
    source: "AsyncEngine",
    sending: Sending,
    function: Callable[Concatenate[Connection, Given], Result],
    *args: Given.args,
    **options: Given.kwargs,
) -> Result:
    """Call a function as `async_query` does, for a caller that limits the time.

    Opening, function and closing share a greenlet, which takes half the time of one for each.
    sending: is kept up to date.
    """

    def call() -> Result:
        with source.sync_engine.connect() as connection:
            sending.may_commit = True
            return function(connection, *args, **options)

    with translate_errors(sending):
        return await greenlet_spawn(call)


@contextmanager
def handle_driver_errors(connection: Connection, query: str) -> Iterator[None]:
    """Treat errors of the driver in the block as SQLAlchemy does."""
    try:
        yield
    except (connection.dialect.loaded_dbapi.Error, CancelledError) as error:
        # Discards connections that have ended or are in an unknown state, and raises DBAPIError
        # for the driver's errors.
        connection._handle_dbapi_exception(error, query, None, None, None)  # noqa: SLF001 - no public name


def is_read_only(connection: Connection) -> bool:
    """Return whether the server refuses writes on this connection, as a replica does."""
    return bool(connection.scalar(text("SHOW transaction_read_only")) == "on")


def _options(
    settings: DatabaseSettings, connections: int, statement_seconds: float
) -> dict[str, Any]:
    # An idle transaction holds locks and keeps vacuum from removing dead rows.
    idle_ms = round(1000 * settings.patience_seconds)
    return {
        **_ENGINE_OPTIONS,
        "pool_size": connections,
        "pool_timeout": settings.patience_seconds,
        "execution_options": {
            _SETTINGS: {
                "idle_in_transaction_session_timeout": str(idle_ms),
                "lock_timeout": _LOCK_TIMEOUT,
            },
            _IS_SINGLE: False,
            _LIMIT: statement_seconds,
        },
        "connect_args": dict(PARAMETERS),
    }


def _with_settings(source: Engine, more: Mapping[str, str], **options: float) -> Engine:
    settings = {**source.get_execution_options()[_SETTINGS], **more}
    return source.execution_options(**{_SETTINGS: settings, **options})


def _connect(
    _dialect: Dialect,
    _record: ConnectionPoolEntry,
    arguments: Sequence[Any],
    parameters: Mapping[str, Any],
) -> DBAPIConnection:
    connected: Any = BoundedConnection.connect(*arguments, **parameters)
    return connected  # type: ignore[no-any-return]  # psycopg's types lack SQLAlchemy's protocol


def _listen(source: Engine, clock: Callable[[], float]) -> None:
    # First, because SQLAlchemy's own set-up fails on the bytes that another encoding yields.
    event.listen(source.pool, "connect", _require_encoding, insert=True)
    event.listen(source, "begin", _begin)
    event.listen(source, "before_cursor_execute", _before_statement, retval=True)
    limit_seconds = source.get_execution_options()[_LIMIT]

    def configure(connection: DBAPIConnection, record: ConnectionPoolEntry) -> None:
        _configure(connection, record, limit_seconds)

    event.listen(source, "connect", configure)
    event.listen(source, "handle_error", _leave_replica)
    _ping_after_idling(source, clock)


def _require_encoding(_: DBAPIConnection, record: ConnectionPoolEntry) -> None:
    """Raise SetupFailed when the database does not store text as UTF-8."""
    driver: Any = record.driver_connection  # psycopg's connection, sync or async
    encoding = driver.info.parameter_status("server_encoding")
    if encoding not in {None, _ENCODING}:
        raise SetupFailed(
            f"the database {driver.info.dbname} has the encoding {encoding}: create it with"
            f" TEMPLATE template0 ENCODING '{_ENCODING}', or correct SMART_FILTER_DATABASE_URL"
        )


def _begin(connection: Connection) -> None:
    """Begin a transaction with its settings, except on a `reader` and in autocommit mode.

    On a connection with another isolation level the driver sends the BEGIN. Alembic sets such a
    level after a migration has run statements outside of transactions.
    """
    options = connection.get_execution_options()
    level, is_single = options.get("isolation_level"), options[_IS_SINGLE]
    driver: Any = connection.connection.driver_connection  # a bounded one, sync or async
    limit_seconds = options[_LIMIT]
    driver.wait_seconds = limit_seconds + _GRACE_SECONDS
    driver.begins = False
    if level == "AUTOCOMMIT":
        return
    wanted = {"statement_timeout": _server_limit(limit_seconds), **options[_SETTINGS]}
    if level is None and driver.session_settings is not None:
        if driver.session_settings != wanted:
            # Before the transaction, whose rollback would undo it.
            _send(connection, _set_for_session(driver.session_settings, wanted))
            driver.session_settings = wanted
        driver.begins = not is_single  # sent with the first statement
    elif not is_single:
        settings = "; ".join(f"SET LOCAL {name} = {value}" for name, value in wanted.items())
        _send(connection, f"BEGIN; {settings}" if level is None else settings)


def _set_for_session(present: Mapping[str, str], wanted: Mapping[str, str]) -> str:
    changes = [
        f"SET {name} = {value}" for name, value in wanted.items() if present.get(name) != value
    ]
    return "; ".join([*changes, *(f"RESET {name}" for name in present if name not in wanted)])


def _send(connection: Connection, query: str) -> None:
    cursor = connection.connection.cursor()
    with contextlib.closing(cursor), handle_driver_errors(connection, query):
        cursor.execute(query)


def _before_statement(
    connection: Connection,
    _: DBAPICursor,
    statement: str,
    parameters: Any,  # noqa: ANN401 - the form depends on the statement
    *_more: object,
) -> tuple[str, Any]:
    """Begin the transaction; return the statement, with `_BY_KEY_MARK` for key lookups."""
    driver: Any = connection.connection.driver_connection
    if driver.begins:
        driver.begins = False
        _send(connection, BEGIN)
    if "plan_cache_mode" in connection.get_execution_options()[_SETTINGS]:
        statement += _BY_KEY_MARK
    return statement, parameters


def _configure(
    connection: DBAPIConnection, record: ConnectionPoolEntry, limit_seconds: float
) -> None:
    """Limit the statements outside of transactions; disable prepared statements behind a pooler.

    A setting of a session would reach other clients of a pooler. Such a statement has only the
    client's limit there.
    A pooler that tracks prepared statements keeps them.

    A pooler is detected by the backend process id, which it makes up. A pooler that tracks
    prepared statements also renames them, because the next transaction may run in another server
    process, which lacks them.
    """
    driver: Any = record.driver_connection  # psycopg's connection, sync or async
    threshold = driver.prepare_threshold
    driver.statement_names = {}
    cursor = connection.cursor()
    try:
        cursor.execute("SELECT pg_backend_pid()")
        if cursor.fetchall() == [(driver.info.backend_pid,)]:
            driver.session_settings = {"statement_timeout": _server_limit(limit_seconds)}
            cursor.execute(_set_for_session({}, driver.session_settings))
            return
        cursor.execute("BEGIN")
        driver.prepare_threshold = 0
        try:
            cursor.execute("SELECT name FROM pg_prepared_statements")
        except DuplicatePreparedStatement:
            is_tracked = False
        else:
            is_tracked = not any(name.startswith(_PREPARED) for (name,) in cursor.fetchall())
        driver.prepare_threshold = threshold if is_tracked else None
        connection.rollback()
    finally:
        cursor.close()


def _server_limit(seconds: float) -> str:
    return str(round(1000 * seconds))


def _leave_replica(context: ExceptionContext) -> None:
    """Replace all connections after one reports a read-only server."""
    if getattr(context.original_exception, "sqlstate", None) == _READ_ONLY:
        context.is_disconnect = True


def _ping_after_idling(source: Engine, clock: Callable[[], float]) -> None:
    """Ping a connection at checkout only when it has idled, because a ping costs a round trip.

    A connection that died less than `_PING_AFTER_SECONDS` ago fails its transaction; the pool then
    replaces all of its connections.
    """

    def note(_: DBAPIConnection | None, record: ConnectionPoolEntry) -> None:
        record.info[_IDLE_SINCE] = clock()

    def ping(
        connection: DBAPIConnection, record: ConnectionPoolEntry, _: PoolProxiedConnection
    ) -> None:
        since = record.info.get(_IDLE_SINCE)
        if since is None or clock() - since < _PING_AFTER_SECONDS:
            return
        driver: Any = record.driver_connection
        driver.wait_seconds = _PING_SECONDS
        try:
            source.dialect.do_ping(connection)
        except source.dialect.loaded_dbapi.Error as error:
            raise InvalidatePoolError from error

    event.listen(source, "checkin", note)
    event.listen(source, "checkout", ping)


@contextmanager
def translate_errors(sending: Sending) -> Iterator[None]:
    """Raise DatabaseUnavailable and its kin in place of SQLAlchemy's errors of the block.

    sending: whether the block may have sent a COMMIT.
    """
    try:
        yield
    except PoolTimeout as error:
        raise DatabaseUnavailable("no connection of the pool became free in time") from error
    except DBAPIError as error:
        reason = str(error.orig).strip()
        sqlstate = getattr(error.orig, "sqlstate", None)
        if sending.may_commit and _is_unknown(error):
            raise OutcomeUnknown(f"{reason}; it may have been executed") from error
        if sqlstate == _DENIED or (isinstance(error, OperationalError) and _is_refusal(reason)):
            raise DatabaseMisconfigured(reason) from error
        if sqlstate == _CANCELED:
            raise StatementTimedOut(reason) from error
        if _is_transient(error):
            raise DatabaseUnavailable(reason) from error
        raise


def _is_refusal(reason: str) -> bool:
    """Return whether a server answered that it will never accept the connection."""
    return "FATAL:" in reason and any(words in reason for words in _REFUSALS)


def _is_unknown(error: DBAPIError) -> bool:
    """Return whether the server, or the way to it, failed without saying what was committed."""
    has_answered = getattr(error.orig, "sqlstate", None) is not None
    is_failure = has_answered or isinstance(error, (OperationalError, InterfaceError))
    return not _proves_rollback(error) and (is_failure or error.connection_invalidated)


def _proves_rollback(error: DBAPIError) -> bool:
    """Return whether the server reported, on a connection that goes on, that it rolled back.

    A FATAL error ends the connection, and can follow a commit whose answer was not sent yet.
    """
    diagnosis: Any = getattr(error.orig, "diag", None)  # psycopg's
    sqlstate = "" if diagnosis is None else diagnosis.sqlstate
    if not sqlstate or sqlstate.startswith(_UNPROVEN_CLASSES):
        return False
    return bool(diagnosis.severity_nonlocalized == "ERROR")


def _is_transient(error: DBAPIError) -> bool:
    return (
        error.connection_invalidated
        or isinstance(error, (OperationalError, InterfaceError))
        or getattr(error.orig, "sqlstate", None) in _RETRYABLE_SQLSTATES
    )
