"""Derived jobs and repeated photos: results are reused."""

import dataclasses
import datetime as dt
import hashlib
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import text

from integration import batches
from integration.batches import items
from integration.retention_api import RetentionApi
from smart_filter_api.auth.api_keys import Scope
from smart_filter_shared.artifacts.retention import ArtifactKind
from smart_filter_shared.ids import JobId, Tenant
from smart_filter_shared.jobs.photo_queue import WORKER
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.queue import events
from smart_filter_shared.queue.events import EventType
from smart_filter_shared.queue.leases import ImportedPhoto, StageOutcome
from smart_filter_tests import invariants
from smart_filter_tests.bench import Bench
from smart_filter_tests.outages import wait_until
from smart_filter_tests.serving import (
    Api,
    Site,
    a_photo,
    an_api,
    fetch_and_disconnect,
    refusal_of,
    serve_api,
)
from smart_filter_tests.stages import COMPOSITE, FACE, PREPARE, SEGMENTATION, SMILE
from smart_filter_tests.stored_results import (
    FACTS,
    STROKES,
    derive,
    objects,
    pass_time,
    run_stages,
    run_whole_job,
)

# The stages of a job whose matte and faces are reused.
ONLY_COMPOSITE = {**dict.fromkeys(StageName, "succeeded"), COMPOSITE: "ready"}
HOUR = 3600


@pytest.fixture(scope="session")
def _caching_site(_bench: Bench) -> Iterator[Site]:
    engine = _bench.settings.engine.model_copy(update={"remember": True})
    with serve_api(dataclasses.replace(_bench.settings, engine=engine)) as site:
        yield site


@pytest.fixture
def caching(_caching_site: Site, bench: Bench) -> Iterator[Api]:
    """The API with its default setting: the result cache is on."""
    with an_api(_caching_site, bench) as api:
        yield api


def keys_of(api: Api, job_id: str, stage: StageName) -> dict[str, str]:
    row = api.bench.row(JobId(uuid.UUID(job_id)), stage)
    arrays: dict[str, str] = row["result"]["arrays"]  # type: ignore[index]  # JSON
    return arrays


def states(job: dict[str, Any]) -> dict[str, str]:
    return {stage["name"]: stage["state"] for stage in job["stages"]}


def test_another_background_runs_composite_alone_with_the_same_matte(api: Api) -> None:
    parent = run_whole_job(api, background="auto")

    job = derive(api, parent, recipe={"background": "color:red"})

    assert job["parent_id"] == parent
    assert job["recipe"]["background"] == "color:red"
    assert {
        row["name"]: (row["state"], row["attempt"], row["seconds"]) for row in job["stages"]
    } == {
        "prepare": ("succeeded", 0, 0.0),
        "segmentation": ("succeeded", 0, 0.0),
        "composite": ("ready", 0, None),
    }
    assert [row["name"] for row in job["stages"] if row["reused"]] == ["prepare", "segmentation"]
    for stage in (PREPARE, SEGMENTATION):
        assert keys_of(api, job["id"], stage) == keys_of(api, parent, stage)
    assert [api.bench.claim(stage) for stage in (PREPARE, SEGMENTATION, FACE, SMILE)] == [[]] * 4
    run_stages(api, COMPOSITE)
    ended = api.job(job["id"])
    assert ended["state"] == "succeeded"
    assert ended["photo"] == {"width": 48, "height": 32, "format": "jpg", "quarter_turns": 0}


def test_another_document_brings_what_follows_from_it(api: Api) -> None:
    parent = run_whole_job(api, document="us", persons="all")

    recipe = derive(api, parent, recipe={"document": "uk", "persons": "all"})["recipe"]

    assert (recipe["background"], recipe["max_bytes"]) == ("color:#d9d9d9", 10_000_000)


def test_job_of_a_removed_document_is_read_and_only_deriving_says_so(api: Api) -> None:
    job_id = run_whole_job(api, document="us", persons="all")
    api.bench.execute("UPDATE jobs SET recipe = jsonb_set(recipe, '{document}', '\"club\"')")

    refused = api.client.post(f"/v1/jobs/{job_id}/derive", json={"recipe": {"quality": 80}})

    assert api.job(job_id)["recipe"]["document"] == "club"
    assert api.client.get(f"/v1/jobs/{job_id}/outputs/image").status_code == 200
    assert refused.status_code == 422
    assert "'club' is not one of" in refused.text


def test_derived_job_has_the_parents_recipe_with_the_given_changes(api: Api) -> None:
    parent = run_whole_job(
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


def photos(api: Api) -> list[str]:
    return [key for key in objects(api) if key.endswith("/photo")]


def test_repeated_photo_is_stored_once(caching: Api) -> None:
    first = run_whole_job(caching, background="auto")

    again = caching.submit(background="auto")

    assert len(photos(caching)) == 1
    caching.client.delete(f"/v1/jobs/{first}")
    run_stages(caching, COMPOSITE)
    original = caching.client.get(f"/v1/jobs/{again}/photo", params={"original": 1})
    assert original.content == a_photo()
    caching.client.delete(f"/v1/jobs/{again}")
    assert photos(caching) == []


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE artifacts SET expires_at = now() + interval '30 seconds' WHERE kind = 'photo'",
        "UPDATE artifacts SET marked_at = now() WHERE kind = 'photo'",
    ],
)
def test_repeated_photo_is_stored_again_before_the_first_one_goes(
    caching: Api, change: str
) -> None:
    run_whole_job(caching, background="auto")
    caching.bench.execute(change)

    again = caching.submit(background="auto")

    assert len(photos(caching)) == 2
    run_stages(caching, COMPOSITE)
    assert caching.job(again)["state"] == "succeeded"


def test_photo_of_a_keep_nothing_job_is_its_own(caching: Api) -> None:
    run_whole_job(caching, background="auto")
    caching.keep(nothing=True)

    caching.submit(background="auto")

    assert len(photos(caching)) == 2


def test_other_photos_and_photos_of_other_tenants_reuse_nothing(caching: Api) -> None:
    run_whole_job(caching, background="keep", outputs="image,matte,faces")
    other = caching.post(a_photo(size=(33, 32)), {"background": "keep"}).json()
    headers = caching.headers(*Scope, tenant=Tenant("stranger"))
    foreign = caching.create(
        "/v1/jobs", files={"photo": a_photo()}, data={"background": "keep"}, headers=headers
    )

    assert states(other)["prepare"] == "ready"
    assert states(foreign)["prepare"] == "ready"


def test_job_whose_results_are_all_reused_ends_at_once(caching: Api) -> None:
    run_whole_job(caching, background="auto", outputs="image,faces")
    url = "https://example.org/ends"
    caching.client.post("/v1/webhooks", json={"url": url, "events": ["job.succeeded"]})

    again = caching.post(a_photo(), {"background": "keep", "outputs": "faces"})

    job = again.json()
    assert (again.status_code, job["state"], job["queue"]) == (202, "succeeded", None)
    assert job["finished_at"] == job["created_at"] < job["expires_at"]
    assert {stage["reused"] for stage in job["stages"]} == {True}
    assert caching.job(job["id"]) == job
    assert caching.read(f"/v1/jobs/{job['id']}/outputs/faces") == job["faces"]
    with caching.bench.transaction() as connection:
        happened = events.list_for_job(connection, JobId(uuid.UUID(job["id"])))
        told = "SELECT type FROM deliveries WHERE job_id = :id"
        deliveries = connection.execute(text(told), {"id": job["id"]}).scalars().all()
    stages = [EventType.STAGE] * len(job["stages"])
    assert [one.type for one in happened] == [
        *(EventType.QUEUED, EventType.RUNNING, *stages, EventType.SUCCEEDED)
    ]
    assert [one.stage for one in happened[2:-1]] == [stage["name"] for stage in job["stages"]]
    assert deliveries == ["job.succeeded"]


def test_answer_to_a_client_that_waits_is_200_when_the_job_ends_at_once(caching: Api) -> None:
    run_whole_job(caching, background="auto", seed="5")

    answer = caching.post(fields={"background": "auto", "seed": "5"}, headers={"Prefer": "wait=5"})

    assert (answer.status_code, answer.json()["state"]) == (200, "succeeded")


def test_repeated_request_of_a_job_that_ended_at_once_gets_it_without_results(caching: Api) -> None:
    run_whole_job(caching, background="auto", outputs="image,faces", seed="5")

    first, second = (
        caching.post(
            fields={"background": "auto", "outputs": "image,faces", "seed": "5"},
            headers={"Idempotency-Key": "once"},
        )
        for _ in range(2)
    )

    assert (first.json()["state"], len(first.json()["output_links"])) == ("succeeded", 2)
    assert second.headers["Idempotency-Replayed"] == "true"
    assert second.json()["id"] == first.json()["id"]
    assert (second.json()["state"], second.json()["faces"]) == ("queued", None)


def test_job_that_must_compose_its_own_picture_has_a_place_and_an_estimate(caching: Api) -> None:
    run_whole_job(caching, background="auto", seed="5")
    caching.keep(nothing=True)

    job = caching.job(caching.submit(background="auto", seed="5"))

    assert (job["state"], job["queue"]["position"]) == ("queued", 1)
    estimated = "SELECT estimated_seconds > 0 FROM jobs WHERE id = :id"
    assert caching.bench.scalar(estimated, id=job["id"]) is True


def test_scheduled_job_ends_when_it_is_due(caching: Api) -> None:
    run_whole_job(caching, background="auto", seed="5")
    later = dt.datetime.now(dt.UTC) + dt.timedelta(days=1)

    again = caching.submit(background="auto", seed="5", run_at=later.isoformat())

    assert states(caching.job(again)) == {**ONLY_COMPOSITE, COMPOSITE: "waiting"}


def picture_key(api: Api, job_id: str) -> str:
    row = api.bench.row(JobId(uuid.UUID(job_id)), COMPOSITE)
    key: str = row["result"]["files"]["image"]["key"]  # type: ignore[index]  # JSON
    return key


def reused_picture(api: Api, job_id: str) -> object:
    """Return the result of a job's last stage; None if the stage has to run."""
    return api.bench.row(JobId(uuid.UUID(job_id)), COMPOSITE)["result"]


def test_repeated_photo_with_the_same_seed_reuses_the_picture(caching: Api) -> None:
    first = run_whole_job(caching, background="auto", seed="5")

    again = caching.submit(background="auto", seed="5")
    others = [
        caching.submit(background="auto", seed="6"),
        caching.submit(background="auto"),
        caching.submit(background="auto", seed="5", quality="50"),
    ]

    assert caching.job(again)["state"] == "succeeded"
    assert reused_picture(caching, again) == reused_picture(caching, first) is not None
    assert [reused_picture(caching, other) for other in others] == [None] * 3


def test_picture_whose_file_is_gone_is_made_again(caching: Api) -> None:
    run_whole_job(caching, background="auto", seed="5")
    caching.bench.execute("UPDATE artifacts SET marked_at = now() WHERE kind = 'result'")

    again = caching.submit(background="auto", seed="5")

    assert states(caching.job(again)) == ONLY_COMPOSITE


@pytest.mark.parametrize(
    ("query", "left"), [("", None), ("?redirect=1", None), ("", b"mad"), ("", b"")]
)
def test_picture_that_was_found_missing_or_cut_off_is_made_again(
    caching: Api, query: str, left: bytes | None
) -> None:
    first = run_whole_job(caching, background="auto", seed="5")
    key = picture_key(caching, first)
    caching.bench.store.remove(key)
    if left is not None:
        caching.bench.store.put(key, left, length=len(left), media_type="image/png")
    before = caching.submit(background="auto", seed="5")

    answer = caching.client.get(f"/v1/jobs/{before}/outputs/image{query}")
    again = caching.submit(background="auto", seed="5")

    assert refusal_of(answer) == (410, "output_expired")
    assert {stage["reused"] for stage in caching.job(again)["stages"]} == {False}


def test_restored_picture_is_given_out_again(caching: Api) -> None:
    first = run_whole_job(caching, background="auto", seed="5")
    key, url = picture_key(caching, first), f"/v1/jobs/{first}/outputs/image"
    content = caching.bench.read(key)
    caching.bench.store.remove(key)
    missing = caching.client.get(url)

    caching.bench.store.put(key, content, length=len(content), media_type="image/png")

    assert (missing.status_code, caching.client.get(url).content) == (410, content)


def test_photo_that_was_found_missing_is_stored_again(caching: Api) -> None:
    first = run_whole_job(caching, background="auto", seed="5")
    (photo,) = (key for key in objects(caching) if key.endswith("/photo"))
    caching.bench.store.remove(photo)

    answer = caching.client.get(f"/v1/jobs/{first}/photo?original=1")
    again = caching.submit(background="auto", seed="5")

    assert answer.status_code == 410
    run_stages(caching, PREPARE)
    assert caching.client.get(f"/v1/jobs/{again}/photo?original=1").content == a_photo()


def test_reused_picture_outlives_its_first_job(caching: Api) -> None:
    first = run_whole_job(caching, background="auto", seed="5")
    again = caching.submit(background="auto", seed="5")

    caching.client.delete(f"/v1/jobs/{first}")

    assert caching.client.get(f"/v1/jobs/{again}/outputs/image").content == b"made"
    caching.client.delete(f"/v1/jobs/{again}")
    assert objects(caching) == set()


def test_keep_nothing_job_lends_nothing(caching: Api) -> None:
    caching.keep(nothing=True)
    first = run_whole_job(caching, background="auto", seed="5")
    caching.keep(nothing=False)

    again = caching.submit(background="auto", seed="5")

    assert {stage["reused"] for stage in caching.job(again)["stages"]} == {False}
    caching.client.delete(f"/v1/jobs/{first}")
    run_stages(caching, PREPARE)
    assert caching.client.get(f"/v1/jobs/{again}/photo?original=1").content == a_photo()


def test_photo_of_a_keep_nothing_job_stays_for_a_job_derived_from_it(caching: Api) -> None:
    caching.keep(nothing=True)
    parent = run_whole_job(caching, background="auto", seed="5")
    caching.keep(nothing=False)
    child = derive(caching, parent, recipe={"background": "color:red"})["id"]
    url = f"/v1/jobs/{parent}/outputs/image"

    fetch_and_disconnect(caching.client.build_request("GET", url))
    wait_until(lambda: caching.client.get(url).status_code == 410)

    assert caching.client.get(f"/v1/jobs/{child}/photo?original=1").content == a_photo()


def test_deadline_does_not_matter_to_a_job_that_ends_at_once(caching: Api) -> None:
    run_whole_job(caching, background="auto", seed="5")
    for _ in range(3):
        caching.submit(background="color:red")

    again = caching.job(caching.submit(background="auto", seed="5", deadline_ms="50"))

    assert (again["state"], again["degraded"]) == ("succeeded", [])


def test_corrected_picture_is_not_shared(caching: Api) -> None:
    parent = run_whole_job(caching, background="auto", seed="5")
    correction = caching.client.post(f"/v1/jobs/{parent}/corrections", json=STROKES)

    corrected = derive(caching, parent, correction_id=correction.json()["id"])
    same = derive(caching, parent)

    assert reused_picture(caching, corrected["id"]) is None
    assert reused_picture(caching, same["id"]) == reused_picture(caching, parent)


def test_artifacts_of_a_deleted_parent_go_with_its_derived_job(api: Api) -> None:
    parent = run_whole_job(api, background="auto")
    child = derive(api, parent, recipe={"background": "color:red"})["id"]

    api.client.delete(f"/v1/jobs/{parent}")

    left = {key.partition(parent)[2] for key in objects(api)}
    assert left == {"/photo", "/prepare/preview.jpg", "/segmentation/array.png"}
    run_stages(api, COMPOSITE)
    assert api.job(child)["state"] == "succeeded"
    api.client.delete(f"/v1/jobs/{child}")
    assert objects(api) == set()
    with api.bench.transaction() as connection:
        for table in ("artifacts", "borrowers"):
            count = connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()
            assert count == 0, table


def test_missing_photo_is_neither_derived_from_nor_cached(caching: Api) -> None:
    parent = run_whole_job(caching, background="auto")
    pass_time(caching, hours=25)

    answer = caching.client.post(f"/v1/jobs/{parent}/derive", json={})
    again = caching.job(caching.submit(background="auto"))

    assert refusal_of(answer) == (410, "inputs_expired")
    assert states(again)["prepare"] == "ready"


def test_uploaded_background_belongs_to_the_derived_job(api: Api) -> None:
    parent = run_whole_job(api, background="auto")
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
    run_stages(api, COMPOSITE)
    child = derive(api, job["id"], recipe={"quality": 70})
    assert child["recipe"]["background"] == "file"
    api.client.delete(f"/v1/jobs/{job['id']}")
    assert added in objects(api)
    api.client.delete(f"/v1/jobs/{child['id']}")
    assert objects(api) == before


def album(api: Api, photos: int, *, best: int) -> list[dict[str, Any]]:
    """Submit an album and complete it; return its jobs."""
    submitted = batches.submit(api, {"items": items(photos), "album": {"best": best}})
    for stage in (PREPARE, SEGMENTATION, FACE, SMILE):
        run_stages(api, *[stage] * photos)
    run_stages(api, *[COMPOSITE] * best)
    return [api.job(item["job_id"]) for item in batches.batch(api, submitted["id"])["items"]]


def test_photo_that_lost_in_an_album_is_composed_when_derived(api: Api) -> None:
    winner, other = album(api, 2, best=1)
    before = batches.batch(api, api.job(other["id"])["batch_id"])

    child = derive(api, other["id"])
    run_stages(api, COMPOSITE)

    ended = api.job(child["id"])
    assert (winner["rank"], other["rank"], other["image"]) == (1, 2, None)
    assert states(child) == {**dict.fromkeys(states(other), "succeeded"), "composite": "ready"}
    assert (ended["state"], ended["rank"], ended["batch_id"]) == ("succeeded", None, None)
    assert ended["image"] is not None
    assert batches.batch(api, before["id"]) == before
    assert invariants.broken(api.bench) == []


def test_keep_nothing_removes_parent_and_child_once_both_are_fetched(
    retention_api: RetentionApi,
) -> None:
    retention_api.api.keep(nothing=True)
    parent = retention_api.finish_job()
    child = derive(retention_api.api, parent, recipe={"background": "color:red"})["id"]

    retention_api.download(parent, "image", "faces")
    retention_api.retention.remove_expired()
    meanwhile = retention_api.bucket(parent)
    retention_api.run(COMPOSITE)
    retention_api.download(child, "image", "faces")
    for _ in range(2):
        retention_api.retention.remove_expired()

    # Only the files that the child still needs are left.
    assert "photo" in meanwhile
    assert "composite" not in meanwhile
    assert (retention_api.bucket(parent), retention_api.bucket(child)) == ([], [])
    assert invariants.broken(retention_api.api.bench) == []


def test_deleted_parent_leaves_nothing_to_a_keep_nothing_child(retention_api: RetentionApi) -> None:
    retention_api.api.keep(nothing=True)
    parent = retention_api.finish_job()
    child = derive(retention_api.api, parent, recipe={"background": "color:red"})["id"]
    retention_api.run(COMPOSITE)
    retention_api.download(child, "image", "faces")
    retention_api.retention.remove_expired()

    retention_api.api.client.delete(f"/v1/jobs/{parent}").raise_for_status()

    assert (retention_api.bucket(parent), retention_api.bucket(child)) == ([], [])


def test_keep_nothing_removes_an_album_after_an_hour(retention_api: RetentionApi) -> None:
    retention_api.api.keep(nothing=True)
    jobs = album(retention_api.api, 2, best=1)

    retention_api.pass_time(seconds=HOUR)
    retention_api.retention.remove_expired()

    assert objects(retention_api.api) == set()
    assert [retention_api.api.job(job["id"])["rank"] for job in jobs] == [1, 2]


def test_photo_fetched_from_its_address_is_cached_from_then_on(caching: Api) -> None:
    photo = a_photo()
    address = {"photo_url": "https://photos.example/one.jpg?secret"}
    first = caching.create("/v1/jobs", json=address)
    before = caching.post(photo).json()

    lease = caching.bench.claim_one(PREPARE)
    assert str(lease.job_id) == first["id"]
    brought = ImportedPhoto("2026-01-01/tests/brought", hashlib.sha256(photo).hexdigest(), 1.5)
    result = {"facts": FACTS[PREPARE], "arrays": {}, "files": {}}
    done = StageOutcome(lease, result, 0.1, {brought.key: ArtifactKind.PHOTO}, brought)
    caching.bench.work(WORKER.complete, [done])
    after = caching.post(photo).json()
    foreign = caching.headers(Scope.SUBMIT, Scope.READ, tenant=Tenant("else"))
    others = caching.create("/v1/jobs", files={"photo": ("photo", photo)}, headers=foreign)

    assert [states(job)["prepare"] for job in (before, after, others)] == [
        *("ready", "succeeded", "ready")
    ]
