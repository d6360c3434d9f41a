"""Derived jobs, photos that come again, and corrections: nothing is made twice."""

import base64
import dataclasses
import hashlib
import io
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from PIL import Image
from sqlalchemy import text

from smart_filter_api.keys import Scope
from smart_filter_shared.ids import JobId, Tenant
from smart_filter_shared.jobs import transitions
from smart_filter_shared.jobs.leases import Brought, Done
from smart_filter_shared.jobs.presence import CELL
from smart_filter_shared.jobs.retention import Kind
from smart_filter_shared.pipeline import StageName
from smart_filter_tests import batching, invariants, races
from smart_filter_tests.batching import items
from smart_filter_tests.bench import KEEPING, TENANT, Bench
from smart_filter_tests.deriving import FACTS, derive, objects, pass_time, run, whole
from smart_filter_tests.house import House
from smart_filter_tests.serving import Api, a_photo, an_api, serving
from smart_filter_workers.retention import Retention

PREPARE, SEGMENTATION, FACE, SMILE, COMPOSITE = StageName
# What a job does whose matte and faces are there already.
ONLY_COMPOSITE = {**dict.fromkeys(StageName, "succeeded"), COMPOSITE: "ready"}
HOUR = 3600
SIZE = (48, 32)
STROKE = {"points": [[1, 2], [40, 30.5]], "width": 12, "keep": True}
STROKES = {"kind": "matte", "stage": "segmentation", "strokes": [STROKE], "consent": False}
LABEL = {
    "kind": "label",
    "stage": "smile",
    "label": {"faces": [{"number": 1, "smile": "huge", "right_open": True}]},
    "consent": False,
}


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


def a_mask(size: tuple[int, int] = SIZE, mode: str = "L", format_: str = "PNG") -> str:
    buffer = io.BytesIO()
    Image.new(mode, size).save(buffer, format_)
    return base64.b64encode(buffer.getvalue()).decode()


def masked(mask: str) -> dict[str, object]:
    return {"kind": "matte", "stage": "segmentation", "mask": mask, "consent": False}


def send(api: Api, job_id: str, correction: object) -> httpx.Response:
    return api.client.post(f"/v1/jobs/{job_id}/corrections", json=correction)


def kept(api: Api, job_id: str, correction: object) -> dict[str, Any]:
    answer = send(api, job_id, correction)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def listed(api: Api, job_id: str) -> list[dict[str, Any]]:
    answer = api.client.get(f"/v1/jobs/{job_id}/corrections")
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def drawn(api: Api) -> set[str]:
    return {key for key in objects(api) if "/corrections/" in key}


def sweep(api: Api) -> None:
    Retention(api.bench.engine, api.bench.store, cell=CELL).remove_expired()


def pass_days(api: Api, days: float) -> None:
    pass_time(api, hours=24 * days)
    api.bench.execute(
        "UPDATE corrections SET expires_at = expires_at - make_interval(hours => :hours)",
        hours=24 * days,
    )


def test_corrections_are_listed_as_they_were_kept(api: Api) -> None:
    job_id = whole(api, background="auto")

    made = [kept(api, job_id, one) for one in (masked(a_mask()), STROKES, LABEL)]

    assert listed(api, job_id) == made
    assert [one["form"] for one in made] == ["mask", "strokes", "label"]
    assert made[2]["label"] == {
        "faces": [{"number": 1, "smile": "huge", "left_open": None, "right_open": True}]
    }
    assert {one["consent"] for one in made} == {False}
    assert made[0]["models"] == {"segmentation": "no-segmentation"}
    assert len(drawn(api)) == 2


def test_correction_that_is_one_too_many_leaves_no_object(api: Api) -> None:
    job_id = whole(api, background="auto")
    for _ in range(20):
        kept(api, job_id, STROKES)

    answer = send(api, job_id, masked(a_mask()))

    assert answer.status_code == 422
    assert len(drawn(api)) == 20


def test_matte_that_was_never_made_cannot_be_corrected(api: Api) -> None:
    job_id = api.submit(background="keep")
    api.client.post(f"/v1/jobs/{job_id}/cancel")

    answer = send(api, job_id, STROKES)

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


def test_label_replaces_the_result_of_the_models(api: Api) -> None:
    job_id = whole(api, background="auto", outputs="image,faces,rating")
    before = api.job(job_id)
    correction = kept(api, job_id, LABEL)

    derived = derive(api, job_id, correction_id=correction["id"])

    after = api.job(derived["id"])
    assert before["faces"][0]["smile"]["level"] == "none"
    assert after["faces"][0]["smile"] == {"level": "huge", "score": 1.0}
    assert after["faces"][0]["eyes"] == {"left_open": True, "right_open": True}
    assert (before["rating"]["score"], after["rating"]["score"]) == (
        pytest.approx(0.8 * 0.2 + 0.2 * 0.5),
        pytest.approx(0.8 * 1.0 + 0.2 * 1.0),
    )
    assert api.job(job_id)["rating"] == before["rating"]
    assert after["stages"][3]["attempt"] == 0


def test_strokes_of_all_corrections_have_a_bound_which_a_mask_resets(api: Api) -> None:
    many = {**STROKES, "strokes": [{**STROKE, "points": [[1, 1]] * 2000}] * 10}
    parent = whole(api, background="auto")
    child = derive(api, parent, correction_id=kept(api, parent, many)["id"])["id"]
    api.client.post(f"/v1/jobs/{child}/cancel")
    one_more = kept(api, child, STROKES)["id"]

    answer = api.client.post(f"/v1/jobs/{child}/derive", json={"correction_id": one_more})

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert [wrong["pointer"] for wrong in answer.json()["errors"]] == ["/correction_id"]
    derive(api, child, correction_id=kept(api, child, masked(a_mask()))["id"])


def test_labels_fit_neither_another_models_faces_nor_another_job(api: Api) -> None:
    parent = whole(api, background="auto")
    api.bench.execute("UPDATE stages SET models = '{\"face\": \"former\"}' WHERE stage = 'face'")
    correction = kept(api, parent, LABEL)

    foreign = kept(api, whole(api, background="auto"), LABEL)

    answers = [
        api.client.post(f"/v1/jobs/{parent}/derive", json={"correction_id": one["id"]})
        for one in (correction, foreign)
    ]

    assert [answer.status_code for answer in answers] == [422, 422]
    assert [answer.json()["code"] for answer in answers] == ["contradiction", "invalid_request"]


def test_corrections_go_with_the_results_at_the_latest(api: Api) -> None:
    parent = whole(api, background="auto")
    consented = kept(api, parent, {**STROKES, "consent": True})
    child = derive(api, parent, correction_id=kept(api, parent, LABEL)["id"])["id"]
    run(api, StageName.COMPOSITE)
    api.bench.execute("UPDATE jobs SET expires_at = now() - interval '1 second'")

    sweep(api)

    assert listed(api, parent) == [consented]
    assert api.bench.job(JobId(uuid.UUID(child))).corrections == ()


def test_drawing_goes_with_its_photo_or_with_consent_when_its_job_is_deleted(api: Api) -> None:
    job_id = whole(api, background="auto")
    kept(api, job_id, STROKES)
    correction = kept(api, job_id, {**STROKES, "consent": True})
    assert correction["expires_at"] is None

    pass_days(api, 1)
    sweep(api)
    after_a_day = listed(api, job_id), len(drawn(api))
    pass_days(api, 399)
    sweep(api)

    assert after_a_day == ([correction], 1)
    assert objects(api) == drawn(api) != set()
    assert listed(api, job_id) == [correction]
    api.client.delete(f"/v1/jobs/{job_id}")
    assert objects(api) == set()
    assert api.bench.scalar("SELECT count(*) FROM corrections") == 0


def test_derived_job_keeps_drawings_of_a_deleted_parent(api: Api) -> None:
    parent = whole(api, background="auto")
    correction = kept(api, parent, STROKES)
    child = derive(api, parent, correction_id=correction["id"])["id"]

    api.client.delete(f"/v1/jobs/{parent}")

    assert len(drawn(api)) == 1
    api.client.delete(f"/v1/jobs/{child}")
    assert drawn(api) == set()


def test_correction_of_a_job_that_is_being_deleted_leaves_nothing(api: Api) -> None:
    job_id = whole(api, background="auto")
    with ThreadPoolExecutor(1) as pool:
        with api.bench.transaction() as connection:
            transitions.delete(connection, JobId(uuid.UUID(job_id)), TENANT)
            answer = pool.submit(send, api, job_id, STROKES)
            races.await_waiting(api.bench, answer)
        answered = answer.result()

    assert (answered.status_code, answered.json()["code"]) == (410, "job_deleted")
    assert invariants.broken(api.bench) == []
    assert api.bench.scalar("SELECT count(*) FROM corrections") == 0
