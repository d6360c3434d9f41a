"""Derive, and photos that come again: what earlier jobs have made is not made twice."""

import dataclasses
import hashlib
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import text

from smart_filter_api.keys import Scope
from smart_filter_shared.ids import JobId, Tenant
from smart_filter_shared.jobs import transitions
from smart_filter_shared.jobs.leases import Brought, Done
from smart_filter_shared.jobs.presence import CELL
from smart_filter_shared.jobs.retention import Kind
from smart_filter_shared.pipeline import StageName
from smart_filter_tests import batching, invariants
from smart_filter_tests.batching import items
from smart_filter_tests.bench import KEEPING, Bench
from smart_filter_tests.deriving import FACTS, derive, objects, pass_time, run, whole
from smart_filter_tests.house import House
from smart_filter_tests.serving import Api, a_photo, an_api, serving
from smart_filter_workers.retention import Retention

PREPARE, SEGMENTATION, FACE, SMILE, COMPOSITE = StageName
# What a job does whose matte and faces are there already.
ONLY_COMPOSITE = {**dict.fromkeys(StageName, "succeeded"), COMPOSITE: "ready"}
HOUR = 3600


@pytest.fixture(scope="session")
def _remembering_url(_bench: Bench) -> Iterator[str]:
    engine = _bench.settings.engine.model_copy(update={"remember": True})
    with serving(dataclasses.replace(_bench.settings, engine=engine)) as url:
        yield url


@pytest.fixture
def remembering(_remembering_url: str, bench: Bench) -> Iterator[Api]:
    """The API as it is by default: it remembers."""
    with an_api(_remembering_url, bench) as api:
        yield api


def keys_of(api: Api, job_id: str, stage: StageName) -> dict[str, str]:
    row = api.bench.row(JobId(uuid.UUID(job_id)), stage)
    arrays: dict[str, str] = row["result"]["arrays"]  # type: ignore[index]  # JSON
    return arrays


def states(job: dict[str, Any]) -> dict[str, str]:
    return {one["name"]: one["state"] for one in job["stages"]}


def test_another_background_runs_composite_alone_with_the_same_matte(api: Api) -> None:
    parent = whole(api, background="auto")

    job = derive(api, parent, recipe={"background": "color:red"})

    assert job["parent_id"] == parent
    assert job["recipe"]["background"] == "color:red"
    assert {
        one["name"]: (one["state"], one["attempt"], one["seconds"]) for one in job["stages"]
    } == {
        "prepare": ("succeeded", 0, 0.0),
        "segmentation": ("succeeded", 0, 0.0),
        "composite": ("ready", 0, None),
    }
    for stage in (PREPARE, SEGMENTATION):
        assert keys_of(api, job["id"], stage) == keys_of(api, parent, stage)
    assert [api.bench.claim(stage) for stage in (PREPARE, SEGMENTATION, FACE, SMILE)] == [[]] * 4
    run(api, COMPOSITE)
    ended = api.job(job["id"])
    assert ended["state"] == "succeeded"
    assert ended["photo"] == {"width": 48, "height": 32, "format": "jpg", "quarter_turns": 0}


def test_derived_job_is_waited_for_where_that_is_preferred(api: Api) -> None:
    parent = whole(api, background="auto")
    path, recipe = f"/v1/jobs/{parent}/derive", {"recipe": {"background": "color:red"}}

    with ThreadPoolExecutor(1) as beside:
        ended = beside.submit(api.client.post, path, json=recipe, headers={"Prefer": "wait=60"})
        while len(api.client.get("/v1/jobs").json()["items"]) == 1:
            pass  # it is on its way
        run(api, COMPOSITE)
    accepted = api.client.post(path, json=recipe, headers={"Prefer": "wait=0"})

    assert (ended.result().status_code, ended.result().json()["state"]) == (200, "succeeded")
    assert ended.result().headers["Preference-Applied"] == "wait=60"
    assert ended.result().headers["Location"] == f"/v1/jobs/{ended.result().json()['id']}"
    assert (accepted.status_code, accepted.headers["Preference-Applied"]) == (202, "wait=0")


def test_derived_job_has_the_parents_recipe_with_the_given_changes(api: Api) -> None:
    parent = whole(
        api,
        background="preset:linen",
        crop="true",
        margin="10%",
        seed="5",
        filters="grade,caption",
        filters__caption__text="hello",
        metadata__who="ours",
        max_bytes="200kB",
        shadow="drop:0.3",
    )
    before = api.job(parent)

    same = derive(api, parent)
    other = derive(
        api,
        parent,
        recipe={"crop": None, "margin": None, "filters": ["grade"], "metadata": {"how": "new"}},
    )

    assert (same["recipe"], same["seed"], same["metadata"]) == (
        before["recipe"],
        5,
        {"who": "ours"},
    )
    changed = {name for name, value in other["recipe"].items() if before["recipe"][name] != value}
    assert changed == {"crop", "margin", "filters"}
    assert other["metadata"] == {"who": "ours", "how": "new"}


def test_stage_that_differs_runs_with_those_that_follow(api: Api) -> None:
    parent = whole(api, background="auto")

    job = derive(api, parent, recipe={"roi": "0% 0% 50% 50%"})

    assert states(job) == {**ONLY_COMPOSITE, "segmentation": "ready", "composite": "waiting"}
    run(api, SEGMENTATION, COMPOSITE)
    with api.bench.transaction() as connection:
        types = connection.execute(
            text("SELECT type FROM events WHERE job_id = :id ORDER BY id"), {"id": job["id"]}
        ).scalars()
        assert list(types) == [
            *("job.queued", "job.running"),
            *("job.stage", "job.stage", "job.succeeded"),
        ]


def test_photo_that_comes_again_reuses_the_results_there_are(remembering: Api) -> None:
    first = whole(remembering, background="auto")

    again = remembering.job(remembering.submit(background="auto"))

    assert states(again) == ONLY_COMPOSITE
    assert again["parent_id"] is None
    assert again["state"] == "queued"
    remembering.bench.claim_one(COMPOSITE)
    assert remembering.job(again["id"])["state"] == "running"
    assert keys_of(remembering, again["id"], SEGMENTATION) == keys_of(
        remembering, first, SEGMENTATION
    )


def test_another_photo_and_another_tenants_are_worked_on(remembering: Api) -> None:
    whole(remembering, background="keep", outputs="image,matte,faces")
    other = remembering.post(a_photo(size=(33, 32)), {"background": "keep"}).json()
    headers = remembering.headers(*Scope, tenant=Tenant("stranger"))
    foreign = remembering.client.post(
        "/v1/jobs", files={"photo": a_photo()}, data={"background": "keep"}, headers=headers
    ).json()

    assert states(other)["prepare"] == "ready"
    assert states(foreign)["prepare"] == "ready"


def test_last_stage_of_a_job_always_runs(remembering: Api) -> None:
    whole(remembering, background="auto", outputs="image,faces")

    again = remembering.job(remembering.submit(background="keep", outputs="faces"))

    assert states(again)["face"] == "succeeded"
    assert states(again)["smile"] == "ready"


def test_artifacts_of_a_deleted_parent_go_with_its_derived_job(api: Api) -> None:
    parent = whole(api, background="auto")
    child = derive(api, parent, recipe={"background": "color:red"})["id"]

    api.client.delete(f"/v1/jobs/{parent}")

    left = {key.partition(parent)[2] for key in objects(api)}
    assert left == {"/photo", "/prepare/array.npy", "/segmentation/array.npy"}
    run(api, COMPOSITE)
    assert api.job(child)["state"] == "succeeded"
    api.client.delete(f"/v1/jobs/{child}")
    assert objects(api) == set()
    with api.bench.transaction() as connection:
        for table in ("artifacts", "borrowers"):
            count = connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()
            assert count == 0, table


def test_deleted_child_leaves_the_artifacts_of_its_parent(api: Api) -> None:
    parent = whole(api, background="auto")
    before = objects(api)
    child = derive(api, parent, recipe={"background": "color:red"})["id"]
    run(api, COMPOSITE)

    api.client.delete(f"/v1/jobs/{child}")

    assert objects(api) == before


def test_photo_that_is_gone_is_neither_derived_from_nor_remembered(remembering: Api) -> None:
    parent = whole(remembering, background="auto")
    pass_time(remembering, hours=25)

    answer = remembering.client.post(f"/v1/jobs/{parent}/derive", json={})
    again = remembering.job(remembering.submit(background="auto"))

    assert (answer.status_code, answer.json()["code"]) == (410, "inputs_expired")
    assert states(again)["prepare"] == "ready"


def test_derived_job_keeps_borrowed_artifacts_as_long_as_its_own(api: Api) -> None:
    parent = whole(api, background="auto")
    pass_time(api, hours=23)
    derive(api, parent, recipe={"background": "color:red"})

    pass_time(api, hours=2)

    answer = api.client.post(f"/v1/jobs/{parent}/derive", json={})
    assert answer.status_code == 202


def test_background_that_is_sent_is_the_derived_jobs_own(api: Api) -> None:
    parent = whole(api, background="auto")
    before = objects(api)

    answer = api.client.post(
        f"/v1/jobs/{parent}/derive",
        files={"background_file": a_photo(size=(20, 10))},
        data={"quality": "80"},
    )

    job = answer.json()
    assert answer.status_code == 202, answer.text
    assert (job["recipe"]["background"], job["recipe"]["quality"]) == ("file", 80)
    (added,) = objects(api) - before
    assert job["id"] in added
    run(api, COMPOSITE)
    child = derive(api, job["id"], recipe={"quality": 70})
    assert child["recipe"]["background"] == "file"
    api.client.delete(f"/v1/jobs/{job['id']}")
    assert added in objects(api)
    api.client.delete(f"/v1/jobs/{child['id']}")
    assert objects(api) == before


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


def test_photo_that_an_album_left_out_is_composed_when_derived(api: Api) -> None:
    winner, other = album(api, 2, best=1)
    before = batching.batch(api, api.job(other["id"])["batch_id"])

    child = derive(api, other["id"])
    run(api, COMPOSITE)

    ended = api.job(child["id"])
    assert (winner["rank"], other["rank"], other["image"]) == (1, 2, None)
    assert states(child) == {**dict.fromkeys(states(other), "succeeded"), "composite": "ready"}
    assert (ended["state"], ended["rank"], ended["batch_id"]) == ("succeeded", None, None)
    assert ended["image"] is not None
    assert batching.batch(api, before["id"]) == before
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

    assert [states(job)["prepare"] for job in (before, after, others)] == [
        *("ready", "succeeded", "ready")
    ]
