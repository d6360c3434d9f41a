"""Two embedded stacks behind a cell router, and an outage of one of them."""

import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from smart_filter_api.auth import api_keys
from smart_filter_api.cells.rendezvous import Cell, Cells
from smart_filter_deploy.cli.server import program
from smart_filter_deploy.embedded.ports import LOOPBACK, free_port
from smart_filter_shared.db import sessions
from smart_filter_shared.ids import Tenant
from smart_filter_tests.bench import settings_of
from smart_filter_tests.full_stack import ENGINE, PHOTO, RunningStack, run_stack
from smart_filter_tests.serving import a_photo

DOMAIN = "photos.test"
NAMES = ("amber", "basil")
pytestmark = pytest.mark.timeout(300)
# A JPEG decoder ignores bytes after the end marker.
LARGE_PHOTO = a_photo() + bytes(30_000_000)


@dataclass(slots=True)
class Fleet:
    """The cells by name, the tenant of each, and a client of that tenant at the router.

    watch: URL of the router's status for operators.
    """

    url: str
    watch: str
    cells: Mapping[str, RunningStack]
    tenants: Mapping[str, str]
    clients: Mapping[str, httpx.Client]


@pytest.fixture(scope="module")
def fleet(data_folder: Path, weights_folder: Path) -> Iterator[Fleet]:
    """Two cells and a router."""
    with _fleet(data_folder / "cells", weights_folder) as fleet:
        yield fleet


def submit(client: httpx.Client, photo: bytes, background: str = "keep") -> str:
    answer = client.post("/v1/jobs", files={"photo": photo}, data={"background": background})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def events(client: httpx.Client, job_id: str) -> Iterator[str]:
    with client.stream("GET", f"/v1/jobs/{job_id}/events") as answer:
        assert answer.status_code == 200
        yield from (line for line in answer.iter_lines() if line.startswith("event: "))


def is_served(client: httpx.Client) -> bool:
    return client.get("/v1/jobs").status_code == 200


@pytest.mark.parametrize("name", ["amber", "basil"])
def test_tenant_sees_its_cell_alone(fleet: Fleet, name: str) -> None:
    job_id = submit(fleet.clients[name], a_photo())
    other = next(one for one in fleet.cells if one != name)

    assert fleet.clients[name].get(f"/v1/jobs/{job_id}").status_code == 200
    strangers = {"Authorization": fleet.clients[name].headers["Authorization"]}
    assert fleet.clients[other].get("/v1/jobs", headers=strangers).status_code == 401


def test_large_photo_events_and_picture_links_pass_the_router(fleet: Fleet) -> None:
    client = fleet.clients["amber"]

    job_id = submit(client, LARGE_PHOTO, "color:navy")
    lines = list(events(client, job_id))

    assert lines[-1] == "event: job.succeeded"
    where = client.get(f"/v1/jobs/{job_id}").json()["outputs"]["image"]
    link = client.get(where, params={"redirect": 1})
    assert link.status_code == 307
    picture = httpx.get(link.headers["location"], trust_env=False)
    assert picture.content == client.get(where).content


def test_browser_signs_in_at_its_tenants_host(fleet: Fleet) -> None:
    key = str(fleet.clients["basil"].headers["Authorization"]).removeprefix("Bearer ")
    host = {"Host": f"{fleet.tenants['basil']}.{DOMAIN}"}
    with httpx.Client(base_url=fleet.url, headers=host, trust_env=False) as browser:
        signed_in = browser.post("/v1/session", json={"key": key})
        assert signed_in.status_code == 201, signed_in.text
        cookie = signed_in.headers["set-cookie"].partition(";")[0]
        own = {"Cookie": cookie, "Origin": f"http://{host['Host']}"}

        assert browser.get("/v1/jobs", headers=own).status_code == 200
        assert browser.get("/", headers=own).headers["content-type"].startswith("text/html")
        assert (
            browser.get("/v1/jobs", headers={**own, "Origin": "http://other.test"}).status_code
            == 403
        )


def test_photo_announced_as_too_large_is_refused_by_its_cell(fleet: Fleet) -> None:
    answer = fleet.clients["amber"].post("/v1/jobs", files={"photo": a_photo() + bytes(60_000_000)})

    assert (answer.status_code, answer.json()["code"]) == (413, "photo_too_large")


def test_cell_outage_affects_only_its_own_tenants_until_it_ends(fleet: Fleet) -> None:
    amber, basil = fleet.clients["amber"], fleet.clients["basil"]
    before = submit(basil, PHOTO.read_bytes())

    fleet.cells["basil"].stack.kill("api")
    answers = [basil.get(f"/v1/jobs/{before}") for _ in range(5)]
    during = submit(amber, PHOTO.read_bytes())

    assert {(one.status_code, one.json()["code"]) for one in answers} == {(503, "unavailable")}
    assert {one.headers["retry-after"] for one in answers} == {"2"}
    assert httpx.get(f"{fleet.watch}/readyz").json()["degraded"] == ["basil"]
    assert amber.get(f"/v1/jobs/{during}", headers={"Prefer": "wait=30"}).status_code == 200
    fleet.cells["basil"].until(lambda: is_served(basil))
    assert basil.get(f"/v1/jobs/{before}").json()["id"] == before
    assert httpx.get(f"{fleet.watch}/readyz").json()["degraded"] == []


def test_halted_cell_is_given_up_and_found_again(fleet: Fleet) -> None:
    """Its kernel still accepts connections, but no process answers."""
    amber, basil = fleet.clients["amber"], fleet.clients["basil"]
    stack = fleet.cells["basil"].stack

    stack.send("api", signal.SIGSTOP)
    try:
        gives_up_at = time.monotonic() + 30
        while httpx.get(f"{fleet.watch}/readyz").json()["degraded"] != ["basil"]:
            assert time.monotonic() < gives_up_at
            time.sleep(0.1)
        answer = basil.get("/v1/jobs")
        others = amber.get("/v1/jobs")
    finally:
        stack.send("api", signal.SIGCONT)

    assert (answer.status_code, others.status_code) == (503, 200)
    fleet.cells["basil"].until(lambda: is_served(basil))


@contextmanager
def _fleet(folder: Path, weights: Path) -> Iterator[Fleet]:
    """Run two stacks and the process of a router before them."""
    with ExitStack() as held:
        stacks = {
            name: held.enter_context(run_stack(folder / name, weights, ENGINE)) for name in NAMES
        }
        cells = Cells([Cell(name, str(stack.client.base_url)) for name, stack in stacks.items()])
        tenants = {
            name: next(
                tenant
                for number in range(1000)
                if cells.of(tenant := f"tenant-{number}").name == name
            )
            for name in NAMES
        }
        port, watch_port = free_port(), free_port()
        options = [part for cell in cells.every for part in ("--cell", f"{cell.name}={cell.url}")]
        options += ["--port", str(port), "--watch", f"{LOOPBACK}:{watch_port}"]
        command = program.command("router", "--domain", DOMAIN, *options)
        process = subprocess.Popen(command)
        held.callback(process.wait)
        held.callback(process.terminate)
        url, watch = f"http://{LOOPBACK}:{port}", f"http://{LOOPBACK}:{watch_port}"
        stacks["amber"].until(lambda: _is_ready(watch))
        clients = {
            name: held.enter_context(
                httpx.Client(
                    base_url=url,
                    headers={
                        "Host": f"{tenants[name]}.{DOMAIN}",
                        "Authorization": f"Bearer {_key(stack, tenants[name])}",
                    },
                    timeout=30,
                    # Less than the servers' keep-alive: a connection could end as a request is
                    # sent.
                    limits=httpx.Limits(keepalive_expiry=1),
                    trust_env=False,
                )
            )
            for name, stack in stacks.items()
        }
        yield Fleet(url, watch, stacks, tenants, clients)


def _key(cell: RunningStack, tenant: str) -> str:
    engine = sessions.open_engine(settings_of(cell.stack.addresses).database, connections=1)
    with sessions.transaction(engine) as connection:
        key = api_keys.issue(connection, tenant=Tenant(tenant), scopes=api_keys.ALL_SCOPES).key
    engine.dispose()
    return key


def _is_ready(url: str) -> bool:
    try:
        answer = httpx.get(f"{url}/readyz", timeout=1, trust_env=False)
    except httpx.TransportError:
        return False
    return answer.status_code == httpx.codes.OK and not answer.json()["degraded"]
