"""A real Prometheus with the alerts of deploy/prometheus, quick enough for tests."""

import contextlib
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import yaml

from smart_filter_deploy.embedded.addresses import LOOPBACK, free_port
from smart_filter_tests import debian_packages
from smart_filter_tests.patience import PATIENCE_SECONDS

CHECKOUT: Final = Path(__file__).parents[2]
CONFIGURATION: Final = CHECKOUT / "deploy" / "prometheus"
# Unpacked once for all runs; `make clean` removes it.
_UNPACKED: Final = CHECKOUT / "build" / "prometheus"
# What differs from deploy/prometheus, so that an alert fires within seconds instead of minutes: how
# often Prometheus looks, how long a condition holds, and the windows of rates. A condition holds
# longer than the API keeps values of /metrics (four seconds, docs/observability.md).
_SHORTENED: Final[Mapping[str, tuple[tuple[str, str], ...]]] = {
    "prometheus.yml": ((r"\b15s\b", "1s"),),
    "alerts.yml": ((r"\bfor: \S+", "for: 5s"), (r"\[\d+m\]", "[15s]")),
}
_LOOK_SECONDS: Final = 0.2
_LAST_LINES: Final = 20


@dataclass(frozen=True, slots=True)
class Prometheus:
    """A running Prometheus.  http: a client of its API."""

    http: httpx.Client

    def list_firing(self) -> set[str]:
        """Return the names of the alerts that fire now."""
        alerts = self._get("/alerts")["alerts"]
        return {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}

    def read_targets(self) -> dict[str, str]:
        """Return by job whether its target is `up`, `down` or `unknown`."""
        targets = self._get("/targets")["activeTargets"]
        return {target["labels"]["job"]: target["health"] for target in targets}

    def wait_until_scraped(self, *jobs: str) -> None:
        """Wait until the target of each of these jobs is up."""
        gives_up_at = time.monotonic() + PATIENCE_SECONDS
        while not set(jobs) <= {job for job, is_up in self.read_targets().items() if is_up == "up"}:
            assert time.monotonic() < gives_up_at, f"targets: {self.read_targets()}"
            time.sleep(_LOOK_SECONDS)

    def wait_until_firing(self, alert: str) -> None:
        """Wait until an alert fires."""
        gives_up_at = time.monotonic() + PATIENCE_SECONDS
        while alert not in (firing := self.list_firing()):
            assert time.monotonic() < gives_up_at, f"{alert} does not fire, but {firing or 'none'}"
            time.sleep(_LOOK_SECONDS)

    def wait_until_silent(self) -> None:
        """Wait until no alert fires."""
        gives_up_at = time.monotonic() + PATIENCE_SECONDS
        while firing := self.list_firing():
            assert time.monotonic() < gives_up_at, f"still firing: {firing}"
            time.sleep(_LOOK_SECONDS)

    def _get(self, path: str) -> dict[str, Any]:
        data: dict[str, Any] = self.http.get(path).raise_for_status().json()["data"]
        return data


def shorten(folder: Path) -> None:
    """Make a copy of deploy/prometheus quick, in place."""
    for name, replacements in _SHORTENED.items():
        path = folder / name
        text = path.read_text()
        for pattern, replacement in replacements:
            text, count = re.subn(pattern, replacement, text)
            assert count
        path.write_text(text)


def find_programs() -> Path:
    """Return the folder with prometheus and promtool: on PATH, else Debian's, unpacked once.

    Skips the test where neither is to be had.
    """
    if (program := shutil.which("prometheus")) and shutil.which("promtool"):
        return Path(program).parent
    if not _UNPACKED.exists():
        _unpack()
    return _UNPACKED


@contextlib.contextmanager
def run_prometheus(
    programs: Path, folder: Path, targets: Mapping[str, Collection[str]]
) -> Iterator[Prometheus]:
    """Run Prometheus with shortened times in a new folder while the block lasts.

    targets: addresses with ports, by job.
    """
    shutil.copytree(CONFIGURATION, folder)
    shorten(folder)
    _replace_names(folder / "prometheus.yml", targets)
    port, log = free_port(), folder / "log"
    with log.open("wb") as written:
        process = subprocess.Popen(
            [
                programs / "prometheus",
                f"--config.file={folder}/prometheus.yml",
                f"--storage.tsdb.path={folder}/data",
                f"--web.listen-address={LOOPBACK}:{port}",
            ],
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=subprocess.STDOUT,
        )
    try:
        with httpx.Client(base_url=f"http://{LOOPBACK}:{port}/api/v1", timeout=60) as http:
            _wait_until_ready(process, f"http://{LOOPBACK}:{port}/-/ready", log)
            yield Prometheus(http)
    finally:
        process.terminate()
        process.wait()


def _replace_names(path: Path, targets: Mapping[str, Collection[str]]) -> None:
    """Replace the names of services by addresses; there is no Alertmanager."""
    configuration = yaml.safe_load(path.read_text())
    del configuration["alerting"]
    assert {config["job_name"] for config in configuration["scrape_configs"]} == set(targets)
    for job in configuration["scrape_configs"]:
        del job["dns_sd_configs"]
        job["static_configs"] = [{"targets": list(targets[job["job_name"]])}]
    path.write_text(yaml.safe_dump(configuration))


def _unpack() -> None:
    release = debian_packages.own_release()
    _UNPACKED.parent.mkdir(exist_ok=True)
    # Moved when complete: an interrupted run, or another one now, leaves no half of it.
    with tempfile.TemporaryDirectory(dir=_UNPACKED.parent, prefix="prometheus-") as name:
        debian_packages.unpack(
            Path(name), release, "prometheus", instead="install Prometheus, with promtool"
        )
        with contextlib.suppress(OSError):  # another run was quicker
            (Path(name) / "usr" / "bin").rename(_UNPACKED)


def _wait_until_ready(process: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    gives_up_at = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < gives_up_at and process.poll() is None:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(url, timeout=5).is_success:
                return
        time.sleep(_LOOK_SECONDS)
    last = "\n".join(log.read_text(errors="replace").splitlines()[-_LAST_LINES:])
    raise AssertionError(f"Prometheus does not start:\n{last}")
