"""A whole stack for tests: servers, the API, and a worker with models that misbehave."""

import io
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import redis
from numpy.typing import NDArray
from PIL import Image

import smart_filter_tests
from smart_filter_deploy import wiring
from smart_filter_deploy.cli.server import program
from smart_filter_deploy.embedded.addresses import LOOPBACK, Addresses, free_port
from smart_filter_deploy.embedded.child_processes import Command
from smart_filter_deploy.embedded.folder import DataFolder
from smart_filter_deploy.embedded.stack import Stack
from smart_filter_deploy.process_secrets import Process
from smart_filter_shared.pipeline import StageName
from smart_filter_tests import faults, trainable_model
from smart_filter_tests.bench import settings_of
from smart_filter_tests.outages import wait_until
from smart_filter_tests.patience import PATIENCE_SECONDS

PHOTO = Path(__file__).parents[1] / "data" / "astronaut.png"
KEY = "sf_local_tests"
WORKER = "worker-1"
# Quick, so that a test of a dead worker takes seconds; a worker on a busy machine keeps its leases.
ENGINE = {
    "SMART_FILTER_LEASE_SECONDS": "10",
    "SMART_FILTER_HEARTBEAT_SECONDS": "0.5",
    "SMART_FILTER_SWEEP_SECONDS": "0.2",
    "SMART_FILTER_DRAIN_SECONDS": "1",
    "SMART_FILTER_BROKER_STAGE_EVENTS": "true",
    "SMART_FILTER_OUTBOUND_ALLOW": LOOPBACK,
    # One photo is submitted repeatedly, each time to see all of its stages run.
    "SMART_FILTER_REMEMBER": "false",
}
# The API closes connections that are idle for 5 s: a request could meet one that is just closing.
LIMITS = httpx.Limits(keepalive_expiry=2)


@dataclass(slots=True)
class RunningStack:
    stack: Stack
    client: httpx.Client
    operators: httpx.Client
    faults: Path
    broker: redis.Redis

    def try_submit(self, photo: bytes) -> str | None:
        """Submit a photo; return its job's id, or None when the service is unavailable."""
        answer = self.client.post("/v1/jobs", files={"photo": photo})
        if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            return None
        assert answer.status_code == httpx.codes.ACCEPTED, answer.text
        return str(answer.json()["id"])

    def submit(self, photo: bytes | None = None, **fields: str) -> str:
        """Submit a photo and return the job's id; in names of fields `__` stands for a dot."""
        job = self.create(
            "/v1/jobs",
            files={"photo": photo or PHOTO.read_bytes()},
            data={name.replace("__", "."): value for name, value in fields.items()},
        )
        return str(job["id"])

    def create(self, path: str, **options: Any) -> Any:  # noqa: ANN401 - of httpx, and JSON
        """Return the document of a POST that succeeds."""
        answer = self.client.post(path, **options)
        assert answer.is_success, answer.text
        return answer.json()

    def job(self, job_id: str) -> dict[str, Any]:
        answer = self.client.get(f"/v1/jobs/{job_id}")
        if answer.status_code != 200:  # the reason of a 5xx stands in the API's log alone
            log = self.stack.folder.log("api").read_text(errors="replace")
            pytest.fail(f"{answer.text}\n{log[-4000:]}")
        job: dict[str, Any] = answer.json()
        return job

    def wait(self, job_id: str) -> dict[str, Any]:
        """Wait for a job's end and return it; meanwhile, restart dead children."""
        self.until(lambda: self.job(job_id)["finished_at"] is not None)
        return self.job(job_id)

    def run(self, photo: bytes | None = None, **fields: str) -> dict[str, Any]:
        return self.wait(self.submit(photo, **fields))

    def output(self, job_id: str, name: str) -> bytes:
        answer = self.client.get(f"/v1/jobs/{job_id}/outputs/{name}")
        assert answer.status_code == 200, answer.text
        return answer.content

    def pixels(self, job_id: str, name: str = "image") -> NDArray[np.uint8]:
        return np.asarray(Image.open(io.BytesIO(self.output(job_id, name))))

    def until(self, holds: Callable[[], bool], *, seconds: float = PATIENCE_SECONDS) -> None:
        """Wait until a condition holds, supervising the stack meanwhile; fail after `seconds`."""

        def holds_after_tending() -> bool:
            self.stack.tend()
            return holds()

        wait_until(holds_after_tending, seconds=seconds)

    @contextmanager
    def arm(self, name: str) -> Iterator[Path]:
        """Arm a fault model while the block lasts; yields the file that arms it."""
        flag = self.faults / name
        flag.touch()
        try:
            yield flag
        finally:
            flag.unlink(missing_ok=True)


@contextmanager
def run_stack(
    folder: Path,
    weights: Path,
    environment: Mapping[str, str],
    *,
    workers: int = 1,
    sender: bool = False,
    kind: type[Stack] = Stack,
    detour: Callable[[Addresses], Mapping[str, str]] = lambda _: {},
) -> Iterator[RunningStack]:
    """Run a stack in a new folder, with workers that serve every stage.

    sender: whether webhooks are sent.  kind: S3Stack stores objects on a server.
    detour: server variables that differ for API, workers and sender.
    """
    data = DataFolder.at(folder)
    trainable_model.link_weights(data.path / "weights", weights)
    flags = data.part("faults")
    port, operators_port = free_port(), free_port()
    url, operators_url = (f"http://{LOOPBACK}:{each}" for each in (port, operators_port))
    tests_folder = Path(smart_filter_tests.__file__).parents[1]
    with kind(data) as stack:
        environment = {**environment, **detour(stack.addresses)}
        settings = settings_of(stack.addresses, SMART_FILTER_DATA=str(folder))
        wiring.prepare_servers(settings, local_key=KEY)
        api = Command(
            name="api",
            argv=program.command(
                "api", "--port", str(port), "--operators-port", str(operators_port)
            ),
            env=environment,
            process=Process.API,
            ready=lambda: answers(f"{operators_url}/readyz"),
            ready_seconds=PATIENCE_SECONDS,
        )
        commands = [
            Command(
                name=f"worker-{number}",
                argv=(
                    *(sys.executable, "-m", "smart_filter_tests.worker"),
                    *(",".join(StageName), "4"),
                ),
                env={
                    **environment,
                    faults.FOLDER: str(flags),
                    "PYTHONPATH": os.pathsep.join([str(tests_folder), *sys.path[1:]]),
                },
                process=Process.COMPOSITE_WORKER,
                ready=lambda: _offers(url, "raises"),
                ready_seconds=PATIENCE_SECONDS,
            )
            for number in range(1, workers + 1)
        ]
        if sender:
            commands.append(
                Command(
                    name="sender",
                    argv=program.command("sender"),
                    env=environment,
                    process=Process.SENDER,
                )
            )
        # Start them at once: each takes seconds to be ready.
        stack.start(api, *commands)
        headers = {"Authorization": f"Bearer {KEY}"}
        broker = redis.Redis.from_url(stack.addresses.broker_url)
        with (
            httpx.Client(
                base_url=url, headers=headers, timeout=PATIENCE_SECONDS, limits=LIMITS
            ) as client,
            httpx.Client(
                base_url=operators_url, headers=headers, timeout=PATIENCE_SECONDS, limits=LIMITS
            ) as operators,
        ):
            yield RunningStack(stack, client, operators, flags, broker)
        broker.close()


def answers(url: str) -> bool:
    """Return whether a GET of this address succeeds."""
    try:
        return httpx.get(url, timeout=PATIENCE_SECONDS).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def _offers(url: str, model: str) -> bool:
    headers = {"Authorization": f"Bearer {KEY}"}
    try:
        answer = httpx.get(f"{url}/v1/models", headers=headers, timeout=PATIENCE_SECONDS)
    except httpx.TransportError:
        return False
    return answer.is_success and any(item["name"] == model for item in answer.json()["items"])
