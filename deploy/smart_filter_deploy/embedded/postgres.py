"""The database: a PostgreSQL server of our own, in a data folder of its own.

Loopback only and by password only (scram); no Unix socket, whose path could be too long.
"""

import contextlib
import ctypes
import os
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from psycopg import sql

from smart_filter_deploy.embedded.binaries import postgres_folder
from smart_filter_deploy.embedded.children import Child, Command, Identity, wait_until_ended
from smart_filter_deploy.embedded.folder import DataFolder
from smart_filter_deploy.embedded.ports import LOOPBACK, free_port
from smart_filter_deploy.embedded.server_user import let_enter, programs_for, server_user
from smart_filter_deploy.embedded.signals import StopRequest
from smart_filter_shared.errors import SetupFailed

USER = "smart_filter"
DATABASE = "smart_filter"

_ANSWER_SECONDS = 2
_INITDB_SECONDS = 120.0
_SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "max_connections": "200",
    # A worker that was stopped inside a transaction must not keep its rows locked.
    "idle_in_transaction_session_timeout": "5s",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "warning",
    # Nobody replicates from here; this halves what a commit writes.
    "wal_level": "minimal",
    "max_wal_senders": "0",
}


@dataclass(frozen=True, slots=True)
class _Place:
    """Where it lies and whose it is."""

    data: Path
    programs: Path
    user: Identity | None

    def environment(self) -> dict[str, str]:
        return {"PATH": f"{self.programs}:/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


@dataclass(frozen=True, slots=True)
class Postgres:
    """A prepared server: how it is run, and how it is reached."""

    command: Command
    port: int
    password: str = field(repr=False)

    @property
    def url(self) -> str:
        """The database's URL, for SQLAlchemy with psycopg."""
        return f"postgresql+psycopg://{USER}:{self.password}@{LOOPBACK}:{self.port}/{DATABASE}"

    def create_database(self) -> None:
        """Create the database when the server, which runs, does not have it yet."""
        with _connect(self.port, self.password) as connection:
            query = "SELECT FROM pg_database WHERE datname = %s"
            if connection.execute(query, (DATABASE,)).fetchone() is None:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))


def prepare(folder: DataFolder, held: int, stop: StopRequest) -> Postgres:
    """Make the data ready for a server, creating it the first time.

    Nobody else may use the folder meanwhile: what an interrupted start left is removed.

    Raises SetupFailed when there is no program, no user to run it as, or no way to the data.
    """
    place = _place(folder)
    port, password = free_port(), folder.secret("postgres")
    if not place.data.exists():
        _initdb(place, password, folder, held, stop)
    # No server runs on it, or `held` would not be ours. Its process id may be another's by now,
    # which a new server would take for the old one.
    (place.data / "postmaster.pid").unlink(missing_ok=True)
    settings = {**_SETTINGS, "port": str(port)}
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    command = Command(
        name="postgres",
        argv=(str(place.programs / "postgres"), "-D", str(place.data), *options),
        env=place.environment(),
        ready=lambda: _answers(port, password),
        # Fast shutdown: SIGTERM would wait until the last client leaves.
        stop_signal=signal.SIGINT,
        death_signal=signal.SIGINT,
        identity=place.user,
        cwd=Path("/"),
    )
    return Postgres(command, port, password)


def _place(folder: DataFolder) -> _Place:
    home = folder.path / "postgres"
    user = server_user(home / "data")
    programs = postgres_folder()
    home.mkdir(exist_ok=True, mode=0o700)
    if user is not None:
        home.chmod(0o711)
        let_enter(folder, user)
        programs = programs_for(user, programs, folder)
    return _Place(home / "data", programs, user)


def _initdb(place: _Place, password: str, folder: DataFolder, held: int, stop: StopRequest) -> None:
    draft = place.data.with_name("data.new")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    if place.user is not None:
        os.chown(draft, place.user.uid, place.user.gid)
    with _piped(password, place.user) as pipe:
        command = Command(
            name="initdb",
            argv=(
                *(str(place.programs / "initdb"), "-D", str(draft), "-U", USER),
                *(f"--pwfile=/dev/fd/{pipe}", "--auth=scram-sha-256"),
                # The same order of texts whatever the machine's language.
                *("--encoding=UTF8", "--locale=C", "--data-checksums", "--no-sync"),
            ),
            env=place.environment(),
            stop_seconds=_INITDB_SECONDS,
            identity=place.user,
            cwd=Path("/"),
            inherit=(pipe,),
        )
        child = Child(command, folder, held)
        child.start()
        wait_until_ended([child], stop)
    stop.check()
    if child.exit_status != 0:
        shutil.rmtree(draft, ignore_errors=True)
        raise SetupFailed(f"initdb failed: {child.log_tail()}")
    # The data appears complete or not at all, after a power cut too.
    _write_to_disk(draft)
    draft.rename(place.data)


def _write_to_disk(folder: Path) -> None:
    # The whole file system at once: initdb's own way, a thousand files one by one, takes
    # three times as long as all its other work.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        ctypes.CDLL(None).syncfs(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _piped(password: str, user: Identity | None) -> Iterator[int]:
    # Neither on a command line nor in a file that the server's user would have to read.
    reader, writer = os.pipe()
    try:
        os.write(writer, password.encode() + b"\n")
        os.close(writer)
        if user is not None:
            # /dev/fd opens the pipe anew, with the rights of who opens it.
            os.fchown(reader, user.uid, user.gid)
        yield reader
    finally:
        os.close(reader)


def _answers(port: int, password: str) -> bool:
    try:
        _connect(port, password).close()
    except psycopg.OperationalError as error:
        if "password authentication failed" in str(error):
            raise SetupFailed(
                "the data folder's secrets/postgres is not the password of its postgres/data: "
                "put the right file back, or remove postgres/data to start empty"
            ) from error
        return False
    return True


def _connect(port: int, password: str) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(
        host=LOOPBACK,
        port=port,
        user=USER,
        password=password,
        dbname="postgres",
        connect_timeout=_ANSWER_SECONDS,
        autocommit=True,
    )
