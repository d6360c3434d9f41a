import json
import os
import subprocess
import sys
from typing import NamedTuple

import pytest

# Packages of the server, among those that our own code imports.
_ABSENT = (
    "ai_edge_litert alembic cachetools celery coloraide cryptography cv2 fastapi kombu mcp minio "
    "numpy onnxruntime PIL psycopg pydantic pydantic_settings redis simplejpeg sqlalchemy "
    "structlog uuid_utils uvicorn"
)
# Each line of the input is a command; each line of the output is its exit status and output.
_WITHOUT = f"""
import contextlib, importlib.abc, io, json, sys

class Missing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] in {_ABSENT.split()!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
from smart_filter_deploy.cli import main

for line in sys.stdin:
    out, err = (io.TextIOWrapper(io.BytesIO(), write_through=True) for _ in range(2))
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main(json.loads(line))
        except SystemExit as end:
            status = end.code
    shown = [stream.buffer.getvalue().decode() for stream in (out, err)]
    print(json.dumps([status, *shown]))
"""
CLIENT_COMMANDS = (f"run {__file__}", f"submit {__file__}", "jobs list", "models list")
# What each command asks to install where packages are missing, as in an image of one process.
HINTS = {
    **dict.fromkeys(
        (
            "up",
            "worker --stages prepare",
            "api --port 8000",
            "models pull",
            "models versions",
            "keys list",
            "jobs cancel --tenant acme",
            "queues --help",
            "tenants list",
            "eval smile --data .",
            f"compare {__file__}",
            f"live {__file__}",
        ),
        "pip install smart-filter\n",
    ),
    "mcp": "pip install 'smart-filter[mcp]'\n",
}
# Commands that end by themselves, and their status.
BARE = {"removebg check": 3}


class Ended(NamedTuple):
    status: int
    out: str
    err: str


@pytest.fixture(scope="module")
def ended() -> dict[str, Ended]:
    """Outcomes of commands without the packages of the server; one process runs them all."""
    commands = (*CLIENT_COMMANDS, *HINTS, *BARE)
    bare = subprocess.run(
        [sys.executable, "-c", _WITHOUT],
        input="\n".join(json.dumps(command.split()) for command in commands),
        env={
            "SMART_FILTER_URL": "http://127.0.0.1:0",
            "SMART_FILTER_DATA": "/nonexistent",
            "PYTHONPATH": os.pathsep.join(sys.path),
        },
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )
    endings = (Ended(*json.loads(line)) for line in bare.stdout.splitlines())
    return dict(zip(commands, endings, strict=True))


@pytest.mark.parametrize("command", CLIENT_COMMANDS)
def test_client_command_runs_until_it_calls_the_server(
    command: str, ended: dict[str, Ended]
) -> None:
    assert ended[command].status == 3
    assert ended[command].err.startswith("smart-filter: no answer from http://127.0.0.1:0")


@pytest.mark.parametrize("command", HINTS)
def test_server_command_says_in_one_line_what_to_install(
    command: str, ended: dict[str, Ended]
) -> None:
    status, _, err = ended[command]

    assert (status, err.count("\n")) == (3, 1)
    assert err.endswith(HINTS[command])


@pytest.mark.parametrize("command", BARE)
def test_command_runs_without_packages_of_the_server(command: str, ended: dict[str, Ended]) -> None:
    assert ended[command].status == BARE[command]
    assert "not installed" not in ended[command].err


# The client, httpx, its dependencies, and httpx-sse.
_HTTPX = (
    "smart_filter_client smart_filter_wire httpx httpx_sse httpcore anyio certifi h11 idna sniffio"
    " typing_extensions"
)
_PROGRAM = f"""
import importlib.abc, sys

class Missing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        top = name.partition(".")[0]
        if top not in {{*sys.stdlib_module_names, *{_HTTPX.split()!r}}}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
import anyio
from smart_filter_client import AsyncClient, Client, errors, verify_webhook

async def ask():
    async with AsyncClient("http://127.0.0.1:0", attempts=1) as client:
        await client.job("j1")

for attempt in (
    lambda: Client("http://127.0.0.1:0", attempts=1).job("j1"),
    lambda: anyio.run(ask),
    lambda: verify_webhook("whsec_AAAA", {{}}, b""),
):
    try:
        attempt()
    except errors.Error as error:
        print(type(error).__name__)
"""


def test_client_needs_httpx_and_its_events_only() -> None:
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", _PROGRAM],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert ended.stderr == ""
    assert ended.stdout.split() == ["ServerUnreachable", "ServerUnreachable", "NotGenuine"]
