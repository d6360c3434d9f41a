"""The examples as their readers run them: own processes, a real service, real packages."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from PIL import Image

import smart_filter_client
from smart_filter_deploy.cli.server import program
from smart_filter_deploy.embedded.child_processes import Command
from smart_filter_tests.full_stack import ENGINE, KEY, PHOTO, RunningStack
from smart_filter_tests.node_projects import install_packages

EXAMPLES = Path(__file__).parents[2] / "deploy" / "examples"
CLIENT = Path(smart_filter_client.__file__).parents[1]
PATIENCE_SECONDS = 60


@pytest.fixture(scope="module")
def sending_stack(running_stack: RunningStack) -> RunningStack:
    """A whole stack that sends webhooks too."""
    sender = Command(name="sender", argv=program.command("sender"), env=ENGINE)
    running_stack.stack.start(sender)
    return running_stack


def run(arguments: list[str], here: Path, environment: Mapping[str, str]) -> str:
    """Run a program to its end; return its output."""
    ended = subprocess.run(
        arguments,
        cwd=here,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def server_of(stack: RunningStack) -> dict[str, str]:
    return {"SMART_FILTER_URL": str(stack.client.base_url), "SMART_FILTER_API_KEY": KEY}


def test_node_example_submits_verifies_and_fetches(
    sending_stack: RunningStack, tmp_path: Path
) -> None:
    packages = install_packages(EXAMPLES / "node")
    here = tmp_path / "node"
    shutil.copytree(EXAMPLES / "node", here, ignore=shutil.ignore_patterns("node_modules"))
    (here / "node_modules").symlink_to(packages / "node_modules")

    said = run(["node", "example.js", str(PHOTO), "out.png"], here, server_of(sending_stack))

    event = json.loads(said)
    assert (event["type"], event["order"]) == ("job.succeeded", "17")
    assert sending_stack.job(event["id"])["state"] == "succeeded"
    with Image.open(here / "out.png") as picture:
        assert picture.mode == "RGBA"
    assert sending_stack.client.get("/v1/webhooks").json()["items"] == []


def test_python_example_processes_photos_concurrently(
    sending_stack: RunningStack, tmp_path: Path
) -> None:
    photos = [tmp_path / f"{name}-photo.png" for name in "ab"]
    for photo in photos:
        shutil.copy(PHOTO, photo)
    environment = {**server_of(sending_stack), "PYTHONPATH": str(CLIENT)}

    said = run(
        [sys.executable, str(EXAMPLES / "python" / "example.py"), "."]
        + [str(photo) for photo in photos],
        tmp_path,
        environment,
    )

    event = [json.loads(line) for line in said.splitlines()]
    assert [call["type"] for call in event] == ["job.succeeded"] * 2
    assert {call["picture"] for call in event} == {"a-photo.png", "b-photo.png"}
    assert sending_stack.client.get("/v1/webhooks").json()["items"] == []


def test_lock_of_the_node_example_names_no_host() -> None:
    lock = (EXAMPLES / "node" / "package-lock.json").read_text()

    packages = json.loads(lock)["packages"]
    assert "://" not in lock
    assert all("integrity" in one for name, one in packages.items() if name)
