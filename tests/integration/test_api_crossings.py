"""Where two parts meet, over HTTP: albums, derivations, retention, usage."""

import dataclasses
import hashlib
from collections.abc import Iterator
from typing import Any

import pytest

from smart_filter_api.keys import Scope
from smart_filter_shared.ids import Tenant
from smart_filter_shared.jobs import fairness, transitions
from smart_filter_shared.jobs.leases import Brought, Done
from smart_filter_shared.jobs.presence import CELL
from smart_filter_shared.jobs.retention import Kind
from smart_filter_shared.pipeline import StageName
from smart_filter_tests import batching, invariants
from smart_filter_tests.batching import items
from smart_filter_tests.bench import KEEPING, Bench
from smart_filter_tests.deriving import FACTS, derive, objects, run
from smart_filter_tests.house import House
from smart_filter_tests.serving import Api, a_photo, an_api, serving
from smart_filter_workers.retention import Retention

PREPARE, SEGMENTATION, FACE, SMILE, COMPOSITE = StageName
HOUR = 3600


@pytest.fixture
def house(api: Api) -> House:
    return House(api, Retention(api.bench.engine, api.bench.store, cell=CELL))


def album(api: Api, photos: int, *, best: int) -> list[dict[str, Any]]:
    """Submit an album and let it finish; return its jobs."""
    submitted = batching.submit(api, {"items": items(photos), "album": {"best": best}})
    for stage in (PREPARE, SEGMENTATION, FACE, SMILE):
        run(api, *[stage] * photos)
    run(api, *[COMPOSITE] * best)
    return [api.job(item["job_id"]) for item in batching.batch(api, submitted["id"])["items"]]


def ran(job: dict[str, Any]) -> dict[str, str]:
    return {stage["name"]: stage["state"] for stage in job["stages"]}


def test_photo_that_an_album_left_out_is_composed_when_derived(api: Api) -> None:
    winner, other = album(api, 2, best=1)
    before = batching.batch(api, api.job(other["id"])["batch_id"])

    child = derive(api, other["id"])
    run(api, COMPOSITE)

    ended = api.job(child["id"])
    assert (winner["rank"], other["rank"], other["image"]) == (1, 2, None)
    assert ran(child) == {**dict.fromkeys(ran(other), "succeeded"), "composite": "ready"}
    assert (ended["state"], ended["rank"], ended["batch_id"]) == ("succeeded", None, None)
    assert ended["image"] is not None
    assert batching.batch(api, before["id"]) == before
    assert invariants.broken(api.bench) == []


def test_deleted_album_and_its_derived_jobs_leave_no_object(api: Api) -> None:
    winner, other = album(api, 2, best=1)
    children = [
        derive(api, job["id"], recipe={"background": "color:red"}) for job in (winner, other)
    ]
    run(api, COMPOSITE, COMPOSITE)

    api.client.delete(f"/v1/batches/{winner['batch_id']}").raise_for_status()
    left = [api.job(child["id"])["state"] for child in children]
    for child in children:
        assert api.client.get(f"/v1/jobs/{child['id']}/outputs/image").status_code == 200
        api.client.delete(f"/v1/jobs/{child['id']}").raise_for_status()

    assert left == ["succeeded"] * 2
    assert objects(api) == set()
    assert invariants.broken(api.bench) == []


def test_keep_nothing_removes_a_parent_and_its_child_once_both_are_fetched(house: House) -> None:
    house.api.keep(nothing=True)
    parent = house.finished()
    child = derive(house.api, parent, recipe={"background": "color:red"})["id"]

    house.hand_over(parent, "image", "faces")
    house.retention.remove_expired()
    meanwhile = house.bucket(parent)
    house.run(COMPOSITE)
    house.hand_over(child, "image", "faces")
    for _ in range(2):
        house.retention.remove_expired()

    # Only the files that the child still needed.
    assert "photo" in meanwhile
    assert "composite" not in meanwhile
    assert (house.bucket(parent), house.bucket(child)) == ([], [])
    assert invariants.broken(house.api.bench) == []


def test_deleted_parent_hands_nothing_on_to_a_child_that_keeps_nothing(house: House) -> None:
    house.api.keep(nothing=True)
    parent = house.finished()
    child = derive(house.api, parent, recipe={"background": "color:red"})["id"]
    house.run(COMPOSITE)
    house.hand_over(child, "image", "faces")
    house.retention.remove_expired()

    house.api.client.delete(f"/v1/jobs/{parent}").raise_for_status()

    assert (house.bucket(parent), house.bucket(child)) == ([], [])


def test_keep_nothing_removes_an_album_after_an_hour(house: House) -> None:
    house.api.keep(nothing=True)
    jobs = album(house.api, 2, best=1)

    house.pass_time(seconds=HOUR)
    house.retention.remove_expired()

    assert objects(house.api) == set()
    assert [house.api.job(job["id"])["rank"] for job in jobs] == [1, 2]


@pytest.fixture
def remembering(bench: Bench) -> Iterator[Api]:
    """An API that remembers, as it does by default."""
    engine = bench.settings.engine.model_copy(update={"remember": True})
    settings = dataclasses.replace(bench.settings, engine=engine)
    with serving(settings) as url, an_api(url, bench) as api:
        yield api


def test_photo_of_a_batch_is_remembered_for_its_tenant_alone(remembering: Api) -> None:
    batching.submit(remembering, {"items": items(1)})
    run(remembering, PREPARE, SEGMENTATION, FACE, SMILE, COMPOSITE)
    foreign = remembering.headers(Scope.SUBMIT, Scope.READ, tenant=Tenant("else"))

    own = remembering.post(a_photo()).json()
    others = remembering.client.post(
        "/v1/jobs", files={"photo": ("photo", a_photo())}, headers=foreign
    ).json()

    assert ran(own) == {**dict.fromkeys(ran(own), "succeeded"), "composite": "ready"}
    assert ran(others) == {**dict.fromkeys(ran(others), "waiting"), "prepare": "ready"}


def test_photo_fetched_from_its_address_is_remembered_from_then_on(remembering: Api) -> None:
    photo = a_photo()
    address = {"photo_url": "https://photos.example/one.jpg?secret"}
    first = remembering.client.post("/v1/jobs", json=address).json()
    before = remembering.post(photo).json()

    lease = remembering.bench.claim_one(PREPARE)
    assert str(lease.job_id) == first["id"]
    brought = Brought("2026-01-01/tests/brought", hashlib.sha256(photo).hexdigest(), 1.5)
    result = {"facts": FACTS[PREPARE], "arrays": {}, "files": {}}
    done = Done(lease, result, 0.1, {brought.key: Kind.PHOTO}, brought)
    remembering.bench.do(transitions.complete, [done], KEEPING)
    after = remembering.post(photo).json()
    foreign = remembering.headers(Scope.SUBMIT, Scope.READ, tenant=Tenant("else"))
    others = remembering.client.post(
        "/v1/jobs", files={"photo": ("photo", photo)}, headers=foreign
    ).json()

    assert [ran(job)["prepare"] for job in (before, after, others)] == [
        *("ready", "succeeded", "ready")
    ]


def test_derived_batched_and_deleted_jobs_are_counted_once(api: Api) -> None:
    winner, other = album(api, 2, best=1)
    derive(api, other["id"])
    run(api, COMPOSITE)
    api.client.delete(f"/v1/batches/{winner['batch_id']}").raise_for_status()

    for _ in range(2):
        api.bench.do(fairness.settle)

    (day,) = api.client.get("/v1/usage").json()["items"]
    # Two photos, whose stages took a quarter of a second each; one was composed, and one derived.
    assert (day["jobs"], day["megapixels"]) == (3, pytest.approx(2 * 48 * 32 / 1e6))
    assert day["model_seconds"] == pytest.approx((2 * 4 + 1 + 1) * 0.25)
