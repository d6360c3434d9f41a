"""No process loads code or configuration from the working folder."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import click
import httpx
import pytest

from smart_filter_deploy.cli import HIDDEN, smart_filter
from smart_filter_deploy.cli.server import program
from smart_filter_deploy.embedded.ports import free_port, http_status
from smart_filter_tests import hostile_folder
from smart_filter_tests.full_stack import PHOTO
from smart_filter_tests.hostile_folder import OpenedFiles
from smart_filter_tests.outages import wait_until
from smart_filter_tests.patience import PATIENCE_SECONDS

SCRIPT = program.command()[-1]


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
    hostile_folder.fill(folder)
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
