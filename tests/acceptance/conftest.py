"""Fixtures of tests that run commands on a stack."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from acceptance.machine import Machine
from smart_filter_tests.full_stack import KEY, RunningStack


@pytest.fixture
def up(running_stack: RunningStack, tmp_path: Path) -> Iterator[Machine]:
    """A stack runs on the data folder."""
    stack = running_stack.stack
    stack.announce(url=str(running_stack.client.base_url), api_key=KEY)
    yield Machine(stack.folder.path, tmp_path)
    stack.folder.withdraw()
