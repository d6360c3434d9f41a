"""The product makes no connection of its own: no name is looked up while all of it is at work."""

import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from smart_filter_deploy.cli import program
from smart_filter_tests.running import PHOTO
from smart_filter_tests.secluded import secluded

PATIENCE_SECONDS = 240.0
LOOK_SECONDS = 0.1
# Loads the library as its vendor ships it. Its first report follows about ten seconds later.
UNGUARDED = "import onnxruntime, time; time.sleep(600)"
OPENS_LIVE_VIDEO = """
import asyncio, json, sys, httpx, websockets
url, key = sys.argv[1:]
let_in = httpx.post(url + "/v1/live", json={}, headers={"Authorization": "Bearer " + key}).json()
async def open_live():
    async with websockets.connect(let_in["url"]) as socket:
        await socket.send(json.dumps({"token": let_in["token"]}))
        assert json.loads(await socket.recv())["type"] == "ready"
asyncio.run(open_live())
"""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture
def environment(data_folder: Path, weights_folder: Path, tmp_path: Path) -> dict[str, str]:
    """Only what a shell has: variables that name a CI service would silence the library."""
    data = data_folder / "secluded"
    data.mkdir(mode=0o711)
    (data / "weights").symlink_to(weights_folder)
    (tmp_path / "home").mkdir()
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path / "home"),
        "SMART_FILTER_DATA": str(data),
    }


def test_stack_at_work_looks_up_no_name(environment: dict[str, str], tmp_path: Path) -> None:
    with (
        secluded(tmp_path / "network") as network,
        network.start(program.command("up", "--json"), environment) as up,
    ):
        try:
            assert up.stdout is not None
            first = json.loads(up.stdout.readline())
            for command in (
                program.command("run", str(PHOTO)),
                (sys.executable, "-c", OPENS_LIVE_VIDEO, first["url"], first["api_key"]),
            ):
                with network.start(command, environment) as process:
                    _, said = process.communicate(timeout=PATIENCE_SECONDS)
                assert process.returncode == 0, said
            wait_for_report(tmp_path / "unguarded", environment)
        finally:
            up.send_signal(signal.SIGTERM)
            up.communicate(timeout=PATIENCE_SECONDS)

    assert network.asked_for == []


def wait_for_report(folder: Path, environment: dict[str, str]) -> None:
    """Return when a process that loads the library unguarded has asked for its vendor's host.

    Everything loaded earlier would have reported before that.
    """
    command = (sys.executable, "-c", UNGUARDED)
    with secluded(folder) as network, network.start(command, environment) as process:
        gives_up_at = time.monotonic() + PATIENCE_SECONDS
        while not network.asked_for:
            assert time.monotonic() < gives_up_at, "the library reports nothing any more"
            time.sleep(LOOK_SECONDS)
        process.kill()
