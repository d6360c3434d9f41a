"""Run docker-compose.yml as an operator does, in a project of its own."""

import dataclasses
import itertools
import json
import os
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from PIL import Image

from containers.engine import CHECKOUT, Engine
from containers.images import (
    OwnImages,
    copy_checkout,
    read_unpinned,
    restore_previous,
)
from smart_filter_client import Client, Job
from smart_filter_deploy.embedded.addresses import free_port
from smart_filter_tests.http_server import ReceivedRequest
from smart_filter_tests.pictures import encode

PHOTO = CHECKOUT / "tests" / "data" / "astronaut.png"
# Limits what would hang; nothing here takes a tenth of it on an idle machine.
PATIENCE_SECONDS = 400.0
_POLL_SECONDS = 0.2
_OVERRIDE = "images.json"
# Shorter than the default: the tests wait for leases of killed workers to end.
# Networks of engines, where the tests' receiver of webhooks is.
_SETTINGS = """\
SMART_FILTER_LEASE_SECONDS=10
SMART_FILTER_OUTBOUND_ALLOW=10.0.0.0/8,172.16.0.0/12,192.168.0.0/16
"""
_KILL = "import os, sys; os.kill(int(sys.argv[1]), 9)"
_LINES_OF_A_FAILURE = 15
# Prints each request that it receives as a line of JSON.
_RECEIVE = """
import json
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"])).decode("latin-1")
        headers = {name.lower(): value for name, value in self.headers.items()}
        print(json.dumps({"path": self.path, "headers": headers, "body": body}), flush=True)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass

HTTPServer(("", 8080), Handler).serve_forever()
"""
_drawn = itertools.count()


@dataclass(frozen=True, slots=True)
class Receiver:
    """A container that receives requests of the stack."""

    engine: Engine
    container: str
    url: str

    def wait(
        self, is_wanted: Callable[[ReceivedRequest], bool] = lambda _: True
    ) -> ReceivedRequest:
        """Return the first request that is wanted, as soon as it has come."""
        gives_up_at = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < gives_up_at:
            for line in self.engine.docker("logs", self.container).splitlines():
                got = json.loads(line)
                body = got["body"].encode("latin-1")
                request = ReceivedRequest(got["path"], got["headers"], body)
                if is_wanted(request):
                    return request
            time.sleep(_POLL_SECONDS)
        raise AssertionError("no such request has come")


@dataclass(frozen=True, slots=True)
class ComposeStack:
    """The services of docker-compose.yml in a folder and a project of their own."""

    engine: Engine
    folder: Path
    project: str
    url: str
    operators_url: str
    port: int
    live_port: int
    storage_port: int
    prometheus_port: int

    def compose(self, *arguments: str) -> str:
        """Return what a command of docker compose prints."""
        return self.engine.run("docker", "compose", *arguments, folder=self.folder).stdout.strip()

    def up(self, *arguments: str, images: OwnImages | None = None) -> None:
        """Start services and wait until all are healthy; images: from now on.

        Raises AssertionError with the last lines of every service.
        """
        if images:
            _write_override(self.folder, images)
        command = ("docker", "compose", "up", "--wait", "--no-build", *arguments)
        gives_up_at = time.monotonic() + PATIENCE_SECONDS
        # It gives up when a service is unhealthy once, as a slow start on a busy machine looks.
        while (ended := self.engine.run(*command, folder=self.folder, check=False)).returncode:
            if self._has_failed() or time.monotonic() > gives_up_at:
                shown = f"{ended.stderr[-300:]}\n{self.compose('ps', '--all')}"
                raise AssertionError(f"{shown}\n{self.logs(last=_LINES_OF_A_FAILURE)}")

    def upgrade(self, *services: str, images: OwnImages) -> None:
        """Replace the files by those of the checkout, and start services as `up` does."""
        copy_checkout(self.folder)
        self.engine.run("deploy/secrets.sh", folder=self.folder)
        self.up(*services, images=images)

    def logs(self, *services: str, last: int | None = None) -> str:
        tail = [f"--tail={last}"] if last else []
        return self.compose("logs", "--no-color", *tail, *services)

    def exec(self, service: str, *command: str) -> str:
        """Return what a command prints in a service's first container."""
        return self.compose("exec", "--no-TTY", service, *command)

    def run_once(self, service: str, *options: str, command: Sequence[str] = ()) -> tuple[int, str]:
        """Return the exit status of a container of a service, and what it has printed."""
        ended = self.engine.run(
            *("docker", "compose", "run", "--rm", "--no-deps", "--no-TTY", *options, service),
            *command,
            folder=self.folder,
            check=False,
        )
        return ended.returncode, ended.stdout + ended.stderr

    def create_key(self, tenant: str = "test", scopes: str = "submit,read") -> str:
        """Return a new key."""
        printed = self.exec(
            *("api", "smart-filter", "keys", "create", "--tenant", tenant, "--json"),
            *("--scopes", scopes),
        )
        key: str = json.loads(printed)["key"]
        return key

    def inspect(self, *services: str) -> list[dict[str, Any]]:
        """Return the containers of services, of all without any, as the engine describes them."""
        ids = self.compose("ps", "--all", "--quiet", *services).split()
        described: list[dict[str, Any]] = json.loads(self.engine.docker("inspect", *ids))
        return described

    @contextmanager
    def receiver(self, network: str) -> Iterator[Receiver]:
        """Yield a receiver of requests that services on a network of the stack send."""
        name = f"{self.project}-receiver-{network}"
        [api] = self.inspect("api")
        self.engine.docker(
            *("run", "--detach", f"--name={name}", f"--network={self.project}_{network}"),
            *("--entrypoint=python", api["Config"]["Image"], "-c", _RECEIVE),
        )
        try:
            yield Receiver(self.engine, name, f"http://{name}:8080/")
        finally:
            self.engine.docker("rm", "--force", name)

    def kill(self, *services: str) -> None:
        """Kill the processes of services, as the kernel does: the engine restarts them.

        `docker kill` counts as a stop by the operator, after which nothing is restarted.
        """
        for container in self.inspect(*services):
            self.engine.docker(
                *("run", "--rm", "--pid=host", "--user=0", "--network=none", "--entrypoint=python"),
                *(self._worker_image(), "-c", _KILL, str(container["State"]["Pid"])),
            )

    def list_leftovers(self) -> list[str]:
        """Return the containers, networks and volumes of the project, as the engine lists them."""
        chosen = f"--filter=label=com.docker.compose.project={self.project}"
        return [
            line
            for kind in ("container", "network", "volume")
            for line in self.engine.docker(kind, "ls", chosen, "--quiet").splitlines()
        ]

    def _has_failed(self) -> bool:
        """Return whether a service has ended with an error and is not started again."""
        states = [container["State"] for container in self.inspect()]
        return any(state["Status"] == "exited" and state["ExitCode"] for state in states)

    def _worker_image(self) -> str:
        [container] = self.inspect("prepare")
        name: str = container["Config"]["Image"]
        return name


@contextmanager
def compose_stack(engine: Engine, *, previous: bool = False) -> Iterator[ComposeStack]:
    """Yield the services, not started; afterwards remove containers, networks and volumes.

    previous: with the files before the newest migration, or the test is skipped.
    """
    # Not below pytest's own folder, which keeps those of past runs.
    with tempfile.TemporaryDirectory(prefix="smart-filter-compose-") as name:
        folder = copy_checkout(Path(name))
        if previous:
            restore_previous(folder, "docker-compose.yml", "deploy")
        (folder / "deploy" / "settings.env").write_text(_SETTINGS)
        engine.run("deploy/secrets.sh", folder=folder)
        files = os.pathsep.join(("docker-compose.yml", _OVERRIDE))
        yield from _stack_in(engine, folder, {"COMPOSE_FILE": files, "COMPOSE_PROFILES": "cpu"})


@contextmanager
def release_stack(
    engine: Engine, images: OwnImages, variables: Mapping[str, str]
) -> Iterator[ComposeStack]:
    """Yield the services of compose.release.yml alone in a folder, as `compose_stack` does."""
    with tempfile.TemporaryDirectory(prefix="smart-filter-release-") as name:
        folder = Path(name)
        text = read_unpinned(CHECKOUT / "deploy" / "compose.release.yml")
        (folder / "docker-compose.yml").write_text(text)
        chosen = {"SMART_FILTER_IMAGES": images.registry, **variables}
        yield from _stack_in(engine, folder, chosen)


def _stack_in(engine: Engine, folder: Path, chosen: Mapping[str, str]) -> Iterator[ComposeStack]:
    api, operators, live, storage, prometheus = (free_port() for _ in range(5))
    project = f"smart-filter-test-{secrets.token_hex(4)}"
    variables = {
        "API_PORT": str(api),
        "OPERATORS_PORT": str(operators),
        "LIVE_PORT": str(live),
        "STORAGE_PORT": str(storage),
        "PROMETHEUS_PORT": str(prometheus),
        "SMART_FILTER_STORAGE_PUBLIC_URL": f"http://127.0.0.1:{storage}",
        "SMART_FILTER_LIVE_URL": f"ws://127.0.0.1:{live}",
        "COMPOSE_PROJECT_NAME": project,
        **chosen,
    }
    here = dataclasses.replace(engine, environment={**engine.environment, **variables})
    url, operators_url = (f"http://127.0.0.1:{port}" for port in (api, operators))
    stack = ComposeStack(here, folder, project, url, operators_url, api, live, storage, prometheus)
    try:
        yield stack
    finally:
        if _OVERRIDE not in chosen.get("COMPOSE_FILE", "") or (folder / _OVERRIDE).exists():
            # With the profiles of services that a test has started by their names.
            stack.compose("--profile=*", "down", "--volumes", "--remove-orphans", "--timeout=10")
    assert not (leftovers := stack.list_leftovers()), leftovers


def draw_photos(count: int) -> list[bytes]:
    """Return PNG files of a person, new ones each time: no result of another photo is reused."""
    with Image.open(PHOTO) as opened:
        photo = opened.convert("RGB")
    corners = [divmod(number, 100) for number in itertools.islice(_drawn, count)]
    return [
        encode(photo.crop((x, y, 400 + x, 400 + y)), "PNG", compress_level=1) for y, x in corners
    ]


def submit_until_running(
    stack: ComposeStack, client: Client, stage: str, *, photos: int
) -> list[Job]:
    """Submit photos until a worker is seen with this stage of one of them; return their jobs.

    photos: how many wait at a time for the stage's workers, which are paused meanwhile: else a
    fast worker ends each before its stage is seen.
    """
    jobs: list[Job] = []
    gives_up_at = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < gives_up_at:
        stack.compose("pause", stage)
        jobs += [client.submit(photo) for photo in draw_photos(photos)]
        stack.compose("unpause", stage)
        for job in jobs[-photos:]:
            stages = client.job(job.id).stages
            if any(listed.name == stage and listed.state == "running" for listed in stages):
                return jobs
    raise AssertionError(f"no worker had {stage} of {len(jobs)} jobs")


def _write_override(folder: Path, images: OwnImages) -> None:
    services = yaml.safe_load((folder / "docker-compose.yml").read_text())["services"]
    by_dockerfile = {"Dockerfile.api": images.api, "Dockerfile.gpu-worker": images.worker}
    override: dict[str, dict[str, Any]] = {
        name: {"image": by_dockerfile[service["build"]["dockerfile"]]}
        for name, service in services.items()
        if "build" in service
    }
    (folder / _OVERRIDE).write_text(json.dumps({"services": override}))
