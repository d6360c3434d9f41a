"""The running service against its own description: thousands of requests, links followed.

make test-fuzz FUZZ_SECONDS=120 FUZZ_SEED=7
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from smart_filter_tests.full_stack import ENGINE, KEY, RunningStack, run_stack

HERE = Path(__file__).parent
SECONDS = int(os.environ.get("FUZZ_SECONDS", "180"))
LEAST_CASES = int(os.environ.get("FUZZ_CASES", "500"))
SEED = os.environ.get("FUZZ_SEED", "1")
# Schemathesis stops in the middle of a test when its time is over.
_LAST_SECONDS = 120


@pytest.fixture
def service(data_folder: Path, weights_folder: Path) -> Iterator[RunningStack]:
    content = {**ENGINE, "SMART_FILTER_SECRETS_KEY": "s" * 32}
    with run_stack(data_folder / "fuzz", weights_folder, content) as stack:
        yield stack


@pytest.mark.timeout(SECONDS + 2 * _LAST_SECONDS)
def test_service_follows_its_description(service: RunningStack, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    [own_key] = service.client.get("/v1/keys").json()["items"]
    hooks = {
        "SCHEMATHESIS_HOOKS": str(HERE / "hooks.py"),
        "FUZZ_KEY": KEY,
        "FUZZ_KEY_ID": own_key["key_id"],
    }
    command = [
        *(sys.executable, "-m", "schemathesis.cli"),
        *("--config-file", str(HERE / "schemathesis.toml"), "run"),
        f"{service.operators.base_url}/openapi.json",
        *("--header", f"Authorization: Bearer {KEY}"),
        *("--seed", SEED, "--max-time", str(SECONDS), "--max-examples", "20", "--no-shrink"),
        *("--report", "json", "--report-json-path", str(report)),
    ]

    done = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, **hooks, "COLUMNS": "200"},
        timeout=SECONDS + _LAST_SECONDS,
    )

    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:]
    assert cases_of(report) >= LEAST_CASES
    # The key of all requests is still valid.
    assert service.client.get("/v1/keys").status_code == 200


def cases_of(report: Path) -> int:
    """Return the number of generated requests."""
    content = json.loads(report.read_text())
    return int(content["test_cases"]["generated"])
