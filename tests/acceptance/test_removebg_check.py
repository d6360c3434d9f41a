"""`smart-filter removebg check` with the running stack."""

import json
from typing import Any

import pytest

from smart_filter_tests.commands import Command
from smart_filter_tests.full_stack import KEY, RunningStack


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(capsys)


def check(command: Command, stack: RunningStack, key: str) -> dict[str, Any]:
    """Check the stack; return its findings by name."""
    arguments = ("--url", str(stack.client.base_url), "--key", key, "--json")
    written = command.output("removebg", "check", *arguments)
    assert key not in written
    return {finding["what"]: finding for finding in json.loads(written)["findings"]}


def a_key(stack: RunningStack, *scopes: str) -> str:
    wanted = {"tenant": "removebg", "scopes": list(scopes)}
    return str(stack.create("/v1/keys", json=wanted)["key"])


def test_photo_is_cut_out_with_a_key_of_a_program(
    running_stack: RunningStack, command: Command
) -> None:
    found = check(command, running_stack, a_key(running_stack, "submit"))

    # On a busy machine, the portrait takes longer than a warning allows.
    assert found.pop("people")["level"] in {"ok", "warn"}
    things = found.pop("things")
    # The weights folder may hold isnet, which also cuts out things without a type.
    if things["level"] != "ok":
        assert "by u2netp (weights Apache-2.0;" in things["said"]
        assert "smart-filter models pull isnet" in things["fix"]
    assert [(name, one["level"]) for name, one in found.items()] == [
        ("server", "ok"),
        ("key", "ok"),
        ("credits", "ok"),
        ("rate limit", "ok"),
        ("size limits", "ok"),
    ]


@pytest.mark.slow  # both photos are cut out again
def test_key_that_may_do_more_is_a_warning(running_stack: RunningStack, command: Command) -> None:
    found = check(command, running_stack, KEY)

    assert found["key"]["level"] == "warn"
    assert "--scopes submit" in found["key"]["fix"]


@pytest.mark.slow  # the check runs twice
def test_key_that_cannot_submit_fails(running_stack: RunningStack, command: Command) -> None:
    key = a_key(running_stack, "read")

    found = check(command, running_stack, key)

    failed = {name for name, one in found.items() if one["level"] == "fail"}
    assert failed == {"size limits", "people", "things"}
    assert "the key lacks the scope submit" in found["size limits"]["fix"]
    url = str(running_stack.client.base_url)
    assert command.status("removebg", "check", "--url", url, "--key", key) == 1
