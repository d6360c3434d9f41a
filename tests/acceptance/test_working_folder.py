"""No process loads code or configuration from the working folder."""

import contextlib
import ctypes
import errno
import json
import os
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import click
import httpx
import pytest

from smart_filter_deploy.cli import HIDDEN, smart_filter
from smart_filter_deploy.cli.server import program
from smart_filter_deploy.embedded.addresses import free_port, http_status
from smart_filter_tests.full_stack import PHOTO
from smart_filter_tests.outages import wait_until
from smart_filter_tests.patience import PATIENCE_SECONDS

SCRIPT = program.command()[-1]


# The values of the kernel's interface, by linux/inotify.h.
_OPENED, _OVERFLOW = 0x20, 0x4000
_EVENT = struct.Struct("=iIII")
_MAX_READ_BYTES = 1 << 20

_FOLDERS = ("", "artifacts", "glibc-hwcaps/x86-64-v3", "lib", "lib64", "libs", "tls")
_LIBRARIES = ("libz.so.1", "libffi.so.8", "libc2pa_c.so", "libssl.so.3", "libvalkey.so")
_MODULES = ("celeryconfig", "pip", "settings", "sitecustomize", "usercustomize")
_PROGRAMS = (
    *("cc", "gcc", "git", "initdb", "ldconfig", "node", "npm", "nvidia-smi", "pip", "postgres"),
    *("python", "python3", "redis-server", "sh", "smart-filter", "valkey-server"),
)
_CONFIGURATION = (
    *(".env", ".netrc", ".npmrc", ".pgpass", "alembic.ini", "logging.conf", "matplotlibrc"),
    *("openssl.cnf", "package.json", "pip.conf", "pip.ini", "postgresql.conf", "pyproject.toml"),
    *("pyvenv.cfg", "setup.cfg", "valkey.conf"),
)


def fill(folder: Path) -> None:
    """Create the files: every module and library of this environment, programs, configuration."""
    maps = Path("/proc/self/maps").read_text("utf-8").splitlines()
    loaded = {Path(line.split()[-1]).name for line in maps if ".so" in line}
    modules = {*sys.stdlib_module_names, *metadata.packages_distributions(), *_MODULES}
    for part in _FOLDERS:
        (folder / part).mkdir(parents=True, exist_ok=True)
        for library in loaded | set(_LIBRARIES):
            (folder / part / library).write_bytes(b"no library")
    for module in modules:
        if module.isidentifier():
            (folder / f"{module}.py").write_text("raise SystemExit('code of the working folder')\n")
    for name in _PROGRAMS:
        (folder / name).write_text("#!/bin/sh\nexit 99\n")
        (folder / name).chmod(0o755)
    for name in _CONFIGURATION:
        (folder / name).write_text("[broken\n")


class OpenedFiles:
    """The files of a folder that any process has opened so far."""

    def __init__(self, folder: Path) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._inotify = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        assert self._inotify >= 0, errno.errorcode[ctypes.get_errno()]
        self._folders = {self._watch(part): part for part in (folder, *_list_folders(folder))}

    def read(self) -> set[str]:
        """Return what was opened since the last call: files, and folders that were listed."""
        opened = set()
        with contextlib.suppress(BlockingIOError):
            while events := os.read(self._inotify, _MAX_READ_BYTES):
                opened |= set(self._parse(events))
        return opened

    def close(self) -> None:
        os.close(self._inotify)

    def _watch(self, folder: Path) -> int:
        watch: int = self._libc.inotify_add_watch(self._inotify, os.fsencode(folder), _OPENED)
        assert watch >= 0, errno.errorcode[ctypes.get_errno()]
        return watch

    def _parse(self, events: bytes) -> Iterator[str]:
        while events:
            watch, kind, _, length = _EVENT.unpack_from(events)
            assert not kind & _OVERFLOW
            name = events[_EVENT.size : _EVENT.size + length].rstrip(b"\0")
            yield str(self._folders[watch] / os.fsdecode(name))
            events = events[_EVENT.size + length :]


def _list_folders(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_dir())


class Visitor:
    """An operator who works in a hostile folder."""

    def __init__(self, folder: Path, data: Path) -> None:
        self.folder = folder
        self.data = data
        names = {"HOME", "LANG", "PATH", "PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "TMPDIR"}
        self._environment = {name: os.environ[name] for name in names & os.environ.keys()}

    @contextlib.contextmanager
    def start(self, *arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
        with subprocess.Popen(
            [SCRIPT, *arguments],
            cwd=self.folder,
            env={**self._environment, "SMART_FILTER_DATA": str(self.data), **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                yield process
            finally:
                process.send_signal(signal.SIGTERM)
                process.communicate(timeout=PATIENCE_SECONDS)

    def run(self, *arguments: str, **environment: str) -> tuple[int, str]:
        """Run a command; return its status and what it printed."""
        with self.start(*arguments, **environment) as process:
            out, err = process.communicate(timeout=PATIENCE_SECONDS)
        return process.returncode, out + err


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    fill(folder)
    return folder


@pytest.fixture
def opened(hostile: Path) -> Iterator[OpenedFiles]:
    files = OpenedFiles(hostile)
    yield files
    files.close()


@pytest.fixture(scope="module")
def visitor(hostile: Path, data_folder: Path, weights_folder: Path) -> Visitor:
    data = data_folder / "visitor"
    data.mkdir(mode=0o711)
    (data / "weights").symlink_to(weights_folder)
    return Visitor(hostile, data)


def list_commands(group: click.Group, *names: str) -> Iterator[tuple[str, ...]]:
    """Yield the words of every command of the program, groups and hidden commands included."""
    context = click.Context(group)
    hidden = HIDDEN if group is smart_filter else ()
    for name in (*group.list_commands(context), *hidden):
        yield (*names, name)
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from list_commands(command, *names, name)


def test_help_of_every_command_opens_nothing(hostile: Path, opened: OpenedFiles) -> None:
    # One process for all: one for each would take a minute.
    program = f"""
from smart_filter_deploy.cli import smart_filter
for words in {list(list_commands(smart_filter))}:
    assert not smart_filter.main([*words, "--help"], standalone_mode=False)
"""

    printed = subprocess.check_output([sys.executable, "-P", "-c", program], cwd=hostile, text=True)

    assert printed.count("Usage: ") >= 75
    assert opened.read() == set()


@pytest.mark.slow  # two stacks of processes start
def test_service_opens_nothing(visitor: Visitor, opened: OpenedFiles, tmp_path: Path) -> None:
    with visitor.start("up", "--json") as up:
        assert up.stdout is not None
        first = json.loads(up.stdout.readline())
        threading.Thread(target=up.stdout.read).start()
        headers = {"Authorization": f"Bearer {first['api_key']}"}
        status, printed = visitor.run("run", str(PHOTO), "-o", str(tmp_path / "her.png"))
        assert status == 0, printed
        servers = read_servers(visitor.data)
        port, operators_port = (str(free_port()) for _ in range(2))
        api = ("api", "--port", port, "--operators-port", operators_port)
        with (
            visitor.start(*api, **servers),
            visitor.start("worker", "--stages", "prepare,composite", **servers) as worker,
            visitor.start("sender", **servers),
        ):
            wait_until(lambda: http_status(int(operators_port), "/readyz") == httpx.codes.OK)
            wait_until(lambda: is_ready(worker.pid, first["operators_url"], headers))
            assert visitor.run("audit", **servers)[0] == 0

    assert opened.read() == set()


def read_servers(data: Path) -> dict[str, str]:
    """Return the environment of processes that use the servers of a running stack."""
    servers = json.loads((data / "stack.json").read_text("utf-8"))["servers"]
    return {
        **{f"SMART_FILTER_{name.upper()}": url for name, url in servers.items()},
        "SMART_FILTER_SECRETS_KEY": (data / "secrets" / "sealing-key").read_text("utf-8").strip(),
    }


def is_ready(pid: int, operators_url: str, headers: dict[str, str]) -> bool:
    standing = httpx.get(
        f"{operators_url}/v1/operator/standing", headers=headers, timeout=PATIENCE_SECONDS
    )
    workers = standing.json()["workers"]
    return any(worker["pid"] == pid and worker["state"] != "starting" for worker in workers)


@pytest.mark.slow  # 3 s each
@pytest.mark.parametrize(
    "arguments",
    [
        ("doctor",),
        ("mcp",),
        ("compare", str(PHOTO), "--models", "people", "-o", "{out}/compare.png"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_command_opens_nothing(
    visitor: Visitor, opened: OpenedFiles, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    status, printed = visitor.run(*(word.format(out=tmp_path) for word in arguments))

    assert status == 0, printed
    assert opened.read() == set()


@pytest.mark.slow
def test_download_of_weights_opens_nothing(
    visitor: Visitor, opened: OpenedFiles, tmp_path: Path
) -> None:
    status, printed = visitor.run(
        *("models", "pull"),
        SMART_FILTER_DATA=str(tmp_path / "new"),
        PIP_INDEX_URL="https://127.0.0.1:9/simple",
    )

    assert status != 0
    assert "https://127.0.0.1:9/simple/mediapipe/ cannot be fetched" in printed
    assert opened.read() == set()
