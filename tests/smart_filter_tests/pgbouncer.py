"""Count database connections per process, and run a real PgBouncer."""

import contextlib
import re
import subprocess
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import psycopg

from smart_filter_deploy.embedded.addresses import LOOPBACK, free_port
from smart_filter_deploy.embedded.server_user import server_user
from smart_filter_tests.full_stack import RunningStack
from smart_filter_tests.outages import wait_until
from smart_filter_tests.proxy_programs import require_program

# Earlier versions did not track prepared statements, and refuse the setting.
_FIRST_WITH_PREPARED: Final = (1, 21)


def tracks_prepared_statements() -> bool:
    printed = subprocess.run(
        [require_program("pgbouncer"), "--version"], capture_output=True, text=True, check=True
    )
    version = re.search(r"PgBouncer (\d+)\.(\d+)", printed.stdout)
    assert version is not None, printed.stdout
    return (int(version[1]), int(version[2])) >= _FIRST_WITH_PREPARED


def count_connections(stack: RunningStack, name: str) -> int:
    """Return the number of database connections that a child of the stack holds."""
    port = urlsplit(stack.stack.addresses.database_url).port
    assert port is not None
    inodes = set(_sockets_to(port))
    count = 0
    for pid in stack.stack.pids(name):
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            try:
                match = re.fullmatch(r"socket:\[(\d+)\]", str(descriptor.readlink()))
            except FileNotFoundError:
                continue
            count += match is not None and match[1] in inodes
    return count


def count_established(port: int) -> int:
    return len(_sockets_to(port))


def _sockets_to(port: int) -> list[str]:
    """Return the inodes of sockets that are connected to a port."""
    # Source: proc_net_tcp(5): the remote address in hexadecimal, the state (01: established), and
    # as the tenth field the inode.
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return [line[9] for line in lines if line[2].endswith(f":{port:04X}") and line[3] == "01"]


@contextmanager
def pgbouncer(
    database_url: str, folder: Path, *, connections: int, prepared_statements: int | None = None
) -> Iterator[str]:
    """Run PgBouncer before a server; yield the URL of the same database behind it.

    folder: an empty one, which every user can enter.  connections: to the server, at most.
    prepared_statements: how many it tracks; None: the default of its version.
    """
    url, port = urlsplit(database_url), free_port()
    settings: dict[str, object] = {
        "listen_addr": LOOPBACK,
        "listen_port": port,
        "unix_socket_dir": "",
        "auth_type": "scram-sha-256",
        "auth_file": folder / "userlist.txt",
        "pool_mode": "transaction",
        "default_pool_size": connections,
        "max_client_conn": 2000,
        "log_connections": 0,
        "log_disconnections": 0,
    }
    if prepared_statements is not None:
        settings["max_prepared_statements"] = prepared_statements
    lines = [f"{name} = {value}" for name, value in settings.items()]
    configuration = f"[databases]\n* = host={url.hostname} port={url.port}\n[pgbouncer]\n"
    with _running(configuration + "\n".join(lines) + "\n", database_url, port, folder) as behind:
        yield behind


@contextmanager
def documented_pgbouncer(page: Path, database_url: str, folder: Path) -> Iterator[str]:
    """Run PgBouncer as a page of the docs configures it; yield the URL of the database behind it.

    Only addresses and the path of the users file differ from the page, and the line that it says to
    leave out for an old PgBouncer.
    """
    url, port = urlsplit(database_url), free_port()
    block = re.search(r"^    \[databases\]\n(?:(?:    .*)?\n)+", page.read_text(), re.MULTILINE)
    assert block is not None, f"{page} has no block for PgBouncer"
    configuration = textwrap.dedent(block[0])
    if not tracks_prepared_statements():
        configuration = re.sub(r"(?m)^max_prepared_statements.*\n", "", configuration)
    for documented, here in {
        "smart_filter = host=postgres port=5432": f"* = host={url.hostname} port={url.port}",
        "listen_addr = 0.0.0.0": f"listen_addr = {LOOPBACK}",
        "listen_port = 6432": f"listen_port = {port}",
        "/etc/pgbouncer/userlist.txt": str(folder / "userlist.txt"),
    }.items():
        assert documented in configuration, f"{page} does not say {documented}"
        configuration = configuration.replace(documented, here)
    with _running(configuration, database_url, port, folder) as behind:
        yield behind


@contextmanager
def _running(configuration: str, database_url: str, port: int, folder: Path) -> Iterator[str]:
    """Run PgBouncer on a port with a configuration; yield the URL of the database behind it."""
    url = urlsplit(database_url)
    (folder / "userlist.txt").write_text(f'"{url.username}" "{url.password}"\n')
    (folder / "pgbouncer.ini").write_text(configuration)
    user = server_user(folder / "none")  # it refuses to run as root, as PostgreSQL does
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [require_program("pgbouncer"), str(folder / "pgbouncer.ini")],
            cwd="/",
            stdout=log,
            stderr=log,
            **({} if user is None else {"user": user.uid, "group": user.gid, "extra_groups": []}),
        )
    behind = database_url.replace(url.netloc, url.netloc.replace(f":{url.port}", f":{port}"))
    try:
        _wait_until_it_answers(process, behind, folder)
        yield behind
    finally:
        process.kill()  # asked to end, it would wait for its clients
        process.wait()


def _wait_until_it_answers(process: subprocess.Popen[bytes], url: str, folder: Path) -> None:
    def answers() -> bool:
        assert process.poll() is None, (folder / "log").read_text()
        with contextlib.suppress(psycopg.OperationalError):
            psycopg.connect(url.replace("+psycopg", "")).close()
            return True
        return False

    wait_until(answers)
