"""Prometheus' own tool accepts the configuration, and evaluates each alert on written series."""

import subprocess
from pathlib import Path

import pytest

from smart_filter_tests.prometheus import CHECKOUT, CONFIGURATION


@pytest.mark.parametrize(
    "command",
    [
        ("check", "config", CONFIGURATION / "prometheus.yml"),
        ("test", "rules", CHECKOUT / "tests" / "deploy" / "alerts_fire.yml"),
    ],
    ids=("configuration", "alerts_fire.yml"),
)
def test_promtool_finds_no_fault(programs: Path, command: tuple[str | Path, ...]) -> None:
    ended = subprocess.run(
        [programs / "promtool", *command], capture_output=True, text=True, check=False
    )

    assert ended.returncode == 0, ended.stdout + ended.stderr
