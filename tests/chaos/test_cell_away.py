"""Two embedded stacks behind a cell router, one of which goes away."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from smart_filter_tests.celled import DOMAIN, Celled, celled
from smart_filter_tests.running import PHOTO
from smart_filter_tests.serving import a_photo

pytestmark = pytest.mark.timeout(300)
# Of a JPEG what follows its end is not read.
LARGE_PHOTO = a_photo() + bytes(30_000_000)


@pytest.fixture(scope="module")
def fleet(data_folder: Path, weights_folder: Path) -> Iterator[Celled]:
    """Two cells and a router."""
    with celled(data_folder / "cells", weights_folder) as fleet:
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
def test_tenant_sees_its_cell_alone(fleet: Celled, name: str) -> None:
    job_id = submit(fleet.clients[name], a_photo())
    other = next(one for one in fleet.cells if one != name)

    assert fleet.clients[name].get(f"/v1/jobs/{job_id}").status_code == 200
    strangers = {"Authorization": fleet.clients[name].headers["Authorization"]}
    assert fleet.clients[other].get("/v1/jobs", headers=strangers).status_code == 401


def test_large_photo_its_events_and_links_to_its_picture_pass(fleet: Celled) -> None:
    client = fleet.clients["amber"]

    job_id = submit(client, LARGE_PHOTO, "color:navy")
    told = list(events(client, job_id))

    assert told[-1] == "event: job.succeeded"
    where = client.get(f"/v1/jobs/{job_id}").json()["outputs"]["image"]
    link = client.get(where, params={"redirect": 1})
    assert link.status_code == 307
    picture = httpx.get(link.headers["location"], trust_env=False)
    assert picture.content == client.get(where).content


def test_browser_signs_in_at_its_tenants_host(fleet: Celled) -> None:
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


def test_photo_that_is_announced_too_large_is_refused_by_its_cell(fleet: Celled) -> None:
    answer = fleet.clients["amber"].post("/v1/jobs", files={"photo": a_photo() + bytes(60_000_000)})

    assert (answer.status_code, answer.json()["code"]) == (413, "photo_too_large")


def test_cell_that_goes_away_is_away_for_its_own_tenants_until_it_is_back(fleet: Celled) -> None:
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


def test_cell_that_stands_still_is_given_up_and_found_again(fleet: Celled) -> None:
    """Its kernel takes connections as before, and nobody answers."""
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
