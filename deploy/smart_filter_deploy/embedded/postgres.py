"""Prepare the database: a PostgreSQL server with a data folder of its own.

It listens on loopback only and requires a password (scram). It has no Unix socket, whose path could
be too long.
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

from smart_filter_deploy.embedded.addresses import LOOPBACK, free_port, password_of_role
from smart_filter_deploy.embedded.binaries import postgres_folder
from smart_filter_deploy.embedded.child_processes import (
    Child,
    Command,
    StopRequest,
    wait_until_ended,
)
from smart_filter_deploy.embedded.folder import DataFolder
from smart_filter_deploy.embedded.server_user import copy_programs_for, grant_access, server_user
from smart_filter_shared.child_processes.programs import Identity
from smart_filter_shared.db.process_roles import ProcessRole
from smart_filter_shared.errors import SetupFailed

USER = "smart_filter"
DATABASE = "smart_filter"

_CONNECT_TIMEOUT_SECONDS = 2
_INITDB_SECONDS = 120.0
_SERVER_SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "max_connections": "200",
    # A worker that was stopped inside a transaction must not keep its rows locked.
    "idle_in_transaction_session_timeout": "5s",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "warning",
    # No replica reads from this server; this setting halves the bytes that a commit writes.
    "wal_level": "minimal",
    "max_wal_senders": "0",
}


@dataclass(frozen=True, slots=True)
class _ServerFiles:
    """The folders of a server, and the user that owns them."""

    data: Path
    programs: Path
    user: Identity | None

    def environment(self) -> dict[str, str]:
        return {"PATH": f"{self.programs}:/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


@dataclass(frozen=True, slots=True)
class Postgres:
    """A prepared server: the command that runs it, and its address."""

    command: Command
    port: int
    password: str = field(repr=False)

    @property
    def url(self) -> str:
        """The URL of the database, for SQLAlchemy with psycopg."""
        return f"postgresql+psycopg://{USER}:{self.password}@{LOOPBACK}:{self.port}/{DATABASE}"

    def create_database(self) -> None:
        """Create the database and the roles of processes on the running server unless they exist.

        The roles get their rights with the tables (db/grants.py).
        """
        with _connect(self.port, self.password) as connection:
            roles = connection.execute("SELECT rolname FROM pg_roles").fetchall()
            for role in ProcessRole:
                change = "ALTER" if (role,) in roles else "CREATE"
                statement = sql.SQL(f"{change} ROLE {{}} LOGIN PASSWORD {{}}")
                password = password_of_role(self.password, role)
                connection.execute(statement.format(sql.Identifier(role), sql.Literal(password)))
            query = "SELECT FROM pg_database WHERE datname = %s"
            if connection.execute(query, (DATABASE,)).fetchone() is None:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))


def prepare(folder: DataFolder, held: int, stop: StopRequest) -> Postgres:
    """Prepare the data of a server; the first call creates it.

    The caller must hold the folder: the remains of an interrupted start are removed.

    Raises SetupFailed when the program is not installed, there is no user to run it as, or that
    user has no access to the data.
    """
    place = _prepare_files(folder)
    port, password = free_port(), folder.secret("postgres")
    if not place.data.exists():
        _initdb(place, password, folder, held, stop)
    # No server runs on the data, as this process has the lock `held`. The file's process id may
    # belong to another process now, which a new server would mistake for the old server.
    (place.data / "postmaster.pid").unlink(missing_ok=True)
    settings = {**_SERVER_SETTINGS, "port": str(port)}
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    command = Command(
        name="postgres",
        argv=(str(place.programs / "postgres"), "-D", str(place.data), *options),
        env=place.environment(),
        ready=lambda: _is_ready(port, password),
        # Fast shutdown: SIGTERM would wait until the last client leaves.
        stop_signal=signal.SIGINT,
        death_signal=signal.SIGINT,
        identity=place.user,
    )
    return Postgres(command, port, password)


def _prepare_files(folder: DataFolder) -> _ServerFiles:
    home = folder.path / "postgres"
    user = server_user(home / "data")
    programs = postgres_folder()
    home.mkdir(exist_ok=True, mode=0o700)
    if user is not None:
        home.chmod(0o711)
        grant_access(folder, user)
        programs = copy_programs_for(user, programs, folder)
    return _ServerFiles(home / "data", programs, user)


def _initdb(
    place: _ServerFiles, password: str, folder: DataFolder, held: int, stop: StopRequest
) -> None:
    draft = place.data.with_name("data.new")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    if place.user is not None:
        os.chown(draft, place.user.uid, place.user.gid)
    with _password_pipe(password, place.user) as pipe:
        command = Command(
            name="initdb",
            argv=(
                *(str(place.programs / "initdb"), "-D", str(draft), "-U", USER),
                *(f"--pwfile=/dev/fd/{pipe}", "--auth=scram-sha-256"),
                # The same collation on every machine.
                *("--encoding=UTF8", "--locale=C", "--data-checksums", "--no-sync"),
            ),
            env=place.environment(),
            stop_seconds=_INITDB_SECONDS,
            identity=place.user,
            inherit=(pipe,),
        )
        child = Child(command, folder, held)
        child.start()
        wait_until_ended([child], stop)
    stop.check()
    if child.exit_status != 0:
        shutil.rmtree(draft, ignore_errors=True)
        raise SetupFailed(f"initdb failed: {child.log_tail()}")
    # Rename after a sync, so that the data is complete or absent, even after a power cut.
    _write_to_disk(draft)
    draft.rename(place.data)


def _write_to_disk(folder: Path) -> None:
    # Syncs the whole file system at once: initdb's own way, a thousand files one by one, takes
    # three times as long as all its other work.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        ctypes.CDLL(None).syncfs(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _password_pipe(password: str, user: Identity | None) -> Iterator[int]:
    # Not on a command line, and not in a file that the server's user would have to read.
    reader, writer = os.pipe()
    try:
        os.write(writer, password.encode() + b"\n")
        os.close(writer)
        if user is not None:
            # Opening /dev/fd opens the pipe again, with the rights of the opening user.
            os.fchown(reader, user.uid, user.gid)
        yield reader
    finally:
        os.close(reader)


def _is_ready(port: int, password: str) -> bool:
    try:
        _connect(port, password).close()
    except psycopg.OperationalError as error:
        if "password authentication failed" in str(error):
            raise SetupFailed(
                "the data folder's secrets/postgres is not the password of its postgres/data: "
                "restore the right file, or remove postgres/data to start empty"
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
        connect_timeout=_CONNECT_TIMEOUT_SECONDS,
        autocommit=True,
    )
