"""S3 folders on a real S3 server: events and searches make jobs, results go to the target."""

import contextlib
import dataclasses
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest import mock

import pytest

from integration.s3_photos import FOLDERS, Photos, environment, minio_event, open_buckets
from smart_filter_api.auth.api_keys import Scope
from smart_filter_api.s3_folders import folder_stores, rows, service
from smart_filter_api.s3_folders.rows import Due, Taken
from smart_filter_shared.config.settings import S3FolderSettings
from smart_filter_shared.config.values import S3Folder
from smart_filter_shared.errors import SetupFailed
from smart_filter_shared.queue.leases import Failure
from smart_filter_shared.storage.objects import ObjectStore
from smart_filter_shared.storage.opening import open_store
from smart_filter_tests.bench import TENANT, Bench
from smart_filter_tests.lying_s3 import ETAG, SENT_BYTES, run_lying_s3
from smart_filter_tests.outages import wait_until
from smart_filter_tests.serving import (
    Api,
    Site,
    a_photo,
    an_api,
    an_api_with,
    refusal_of,
    serve_with,
)
from smart_filter_tests.stages import PREPARE


@pytest.fixture(scope="module", autouse=True)
def _short_pauses() -> Iterator[None]:
    """Look for ended jobs 50 times a second instead of once: each test waits for a look."""
    with mock.patch.object(service, "_LOOK_SECONDS", 0.02):
        yield


@pytest.fixture(scope="module")
def site(_bench: Bench) -> Iterator[Site]:
    with serve_with(_bench, **environment()) as site:
        yield site


@contextlib.contextmanager
def a_site(bench: Bench, **folder: str) -> Iterator[Api]:
    with an_api_with(bench, **environment(**folder)) as api:
        yield api


@pytest.fixture
def bucket(bench: Bench) -> ObjectStore:
    return open_buckets(bench)


@pytest.fixture
def photos(site: Site, bench: Bench, bucket: ObjectStore) -> Iterator[Photos]:
    with an_api(site, bench) as api:
        yield Photos(api, bucket)


def test_photo_of_an_event_becomes_a_job_whose_result_is_in_the_target(photos: Photos) -> None:
    job = photos.submit("2026/beach.jpg")
    photos.run()

    assert photos.wait_for("2026/beach.png") == b"made"
    assert photos.api.job(job)["photo_name"] == "beach.jpg"


def test_event_that_arrives_again_makes_no_second_job(photos: Photos) -> None:
    photos.submit("a.jpg")

    assert photos.tell("a.jpg").json() == {"jobs": []}
    assert photos.jobs() == 1


@pytest.mark.parametrize(
    "name",
    [
        "two words.jpg",
        "a+b.jpg",
        "100%.jpg",
        "100%25.jpg",
        "фото — ü.jpg",
        "a&b=c?#.jpg",
        "👨‍👩‍👧 1.jpg",
    ],
)
def test_key_keeps_its_characters(photos: Photos, name: str) -> None:
    photos.submit(name)
    photos.run()

    assert photos.wait_for(name.replace(".jpg", ".png")) == b"made"


def test_file_that_is_no_picture_is_reported_in_the_target(photos: Photos) -> None:
    photos.put("notes.txt", b"no picture")

    assert photos.tell("notes.txt").json() == {"jobs": []}
    report = photos.report("notes.txt")
    assert (report["source"], report["job"]) == ("s3://photos/in/notes.txt", None)
    assert report["code"] == "unsupported_media"
    assert report["remedy"]


def test_photo_over_the_limit_is_reported_unread(photos: Photos) -> None:
    photos.put("huge.jpg", bytes(40_000_001))

    assert photos.tell("huge.jpg").json() == {"jobs": []}
    assert photos.report("huge.jpg")["code"] == "photo_too_large"


def test_failure_of_a_job_is_reported(photos: Photos) -> None:
    job = photos.submit("empty.jpg")
    photos.api.fail(PREPARE, Failure("no_person", "No person", "there is no person"))

    report = photos.report("empty.jpg")
    assert (report["job"], report["code"]) == (job, "no_person")
    assert report["detail"] == "there is no person"


def test_result_of_a_new_version_replaces_the_report_of_the_old(photos: Photos) -> None:
    photos.put("a.jpg", b"no picture")
    photos.tell("a.jpg")
    photos.report("a.jpg")
    photos.submit("a.jpg", a_photo())
    photos.run()

    assert photos.wait_for("a.png") == b"made"
    assert photos.keys() == {"in/a.jpg", "out/a.png"}


def test_two_sources_do_not_share_the_name_of_a_result(photos: Photos) -> None:
    photos.submit("a.jpg")
    photos.run()
    photos.wait_for("a.png")
    photos.submit("a.webp", a_photo("WEBP"))
    photos.run()

    report = photos.report("a.webp")
    assert report["code"] == "name_taken"
    assert "s3://photos/out/a.png" in report["detail"]


def test_older_version_never_replaces_one_that_was_taken_meanwhile(
    bench: Bench,
) -> None:
    older = Taken("photos", "in/a.jpg", "1", TENANT, "photos/out/a.jpg", before=None)

    assert bench.do(rows.take, dataclasses.replace(older, version="2"))
    assert not bench.do(rows.take, older)
    assert bench.do(rows.take, dataclasses.replace(older, version="3", before="2"))


def test_result_of_a_job_that_runs_again_replaces_the_report(
    bench: Bench, bucket: ObjectStore
) -> None:
    with a_site(bench, sweep_seconds="0.1") as api:
        photos = Photos(api, bucket)
        photos.put("a.jpg")
        wait_until(lambda: photos.jobs() == 1)
        job = bench.scalar("SELECT id FROM jobs")
        api.fail(PREPARE, Failure("internal", "Internal", "a defect"))
        photos.report("a.jpg")
        assert api.client.post(f"/v1/jobs/{job}/redrive").status_code == 202
        photos.run()

        assert photos.wait_for("a.png") == b"made"
        assert photos.keys() == {"in/a.jpg", "out/a.png"}


@pytest.mark.parametrize("length", [SENT_BYTES, None], ids=["stated", "chunked"])
def test_object_longer_than_its_head_says_is_not_read(
    bench: Bench, bucket: ObjectStore, length: int | None
) -> None:
    with run_lying_s3() as lies:
        lies.length = length
        server = {
            "SMART_FILTER_S3_URL": lies.url,
            "SMART_FILTER_S3_ACCESS_KEY": "a",
            "SMART_FILTER_S3_SECRET_KEY": "b",
        }
        with an_api_with(bench, **environment(), **server) as api:
            photos = Photos(api, bucket)
            answer = photos.tell("a.jpg")

            assert (answer.status_code, photos.jobs()) == (503, 0), answer.text
        assert lies.asked == [f'"{ETAG}"'] * 3
        assert lies.sent_bytes < SENT_BYTES / 2


def test_two_results_with_one_name_at_the_same_time_are_a_conflict(
    bench: Bench,
) -> None:
    both = [
        Taken("photos", f"in/a.{kind}", "1", TENANT, f"photos/out/a.{kind}")
        for kind in ("jpg", "webp")
    ]
    with bench.transaction() as transaction:
        for taken in both:
            assert rows.take(transaction, taken)
            # Else an API that runs meanwhile would claim the two and reserve names for reports.
            rows.retry_later(transaction, Due(taken, None, attempt=9), "written by the test")

    with (
        bench.transaction() as first,
        ThreadPoolExecutor() as pool,
    ):
        assert rows.reserve(first, both[0], "photos/out/a.png")
        second = pool.submit(bench.do, rows.reserve, both[1], "photos/out/a.png")
        wait_until(lambda: waits_for_lock(bench) or second.done())
        first.commit()
        assert second.result() is False


def waits_for_lock(bench: Bench) -> bool:
    """Return whether a statement of the bench's database waits for another's transaction."""
    return bool(
        bench.scalar("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
    )


def test_object_that_is_gone_makes_no_job(photos: Photos) -> None:
    answer = photos.tell("never.jpg")

    assert (answer.status_code, answer.json()) == (200, {"jobs": []})
    assert photos.jobs() == 0


@pytest.mark.parametrize(
    "key", ["in/../other/a.jpg", "in/./a.jpg", "in/a\x01.jpg", "in/" + "x" * 1010]
)
def test_key_that_cannot_be_read_safely_is_refused(photos: Photos, key: str) -> None:
    photos.bucket.put("other/a.jpg", a_photo(), length=len(a_photo()), media_type="image/jpeg")
    photos.put("a.jpg")

    assert photos.tell(key.removeprefix("in/")).json() == {"jobs": []}
    state = "SELECT code FROM s3_objects WHERE key = :key AND state = 'failed'"
    wait_until(lambda: photos.api.bench.scalar(state, key=key) == "invalid_key")
    assert photos.keys() == {"in/a.jpg", "other/a.jpg"}


def test_objects_outside_the_folders_of_the_key_are_ignored(photos: Photos) -> None:
    photos.bucket.put("other/a.jpg", a_photo(), length=len(a_photo()), media_type="image/jpeg")
    photos.bucket.put("elsewhere.jpg", a_photo(), length=len(a_photo()), media_type="image/jpeg")
    for event in (
        minio_event("other/a.jpg", "elsewhere.jpg", "in/"),
        minio_event("in/a.jpg", bucket="results"),
        {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "photos"},
    ):
        assert photos.api.create("/v1/events/s3", json=event) == {"jobs": []}

    assert photos.jobs() == 0


def test_event_of_eventbridge_is_understood(photos: Photos) -> None:
    photos.put("a+b c.jpg")
    event = {
        "detail-type": "Object Created",
        "detail": {"bucket": {"name": "photos"}, "object": {"key": "in/a+b c.jpg", "size": 1}},
    }

    assert len(photos.api.create("/v1/events/s3", json=event)["jobs"]) == 1


@pytest.mark.parametrize(
    "event",
    [
        {"Records": {}},
        {"Records": [1]},
        {"Records": [{"s3": {"bucket": {"name": "photos"}, "object": {"key": 1}}}]},
        {"Records": [{"s3": {"bucket": {"name": "photos"}, "object": {"key": "in/%FF.jpg"}}}]},
        minio_event(*["in/a.jpg"] * 101),
    ],
)
def test_malformed_event_is_refused(photos: Photos, event: dict[str, Any]) -> None:
    answer = photos.api.client.post("/v1/events/s3", json=event)

    assert refusal_of(answer) == (400, "malformed_request")


def test_event_needs_a_key_that_may_submit(photos: Photos) -> None:
    photos.put("a.jpg")
    reading, unknown = photos.api.key(Scope.READ), "sf_live_unknown"

    assert photos.tell("a.jpg", key=reading).status_code == 403
    assert photos.tell("a.jpg", key=unknown).status_code == 401
    assert photos.jobs() == 0


def test_writing_the_result_ends_a_job_that_keeps_nothing(photos: Photos) -> None:
    photos.api.keep(nothing=True)
    job = photos.submit("a.jpg")
    photos.run()

    assert photos.wait_for("a.png") == b"made"
    left = "SELECT count(*) FROM artifacts WHERE job_id = :job AND expires_at > now()"
    assert photos.api.bench.scalar(left, job=job) == 0


def test_event_is_sent_again_while_the_queue_is_full(photos: Photos) -> None:
    photos.api.limit(jobs_waiting=1)
    photos.submit("a.jpg")
    photos.put("b.jpg")

    assert photos.tell("b.jpg").status_code == 429
    photos.run()
    photos.wait_for("a.png")
    assert len(photos.tell("b.jpg").json()["jobs"]) == 1


def test_search_finds_objects_without_events_once(bench: Bench, bucket: ObjectStore) -> None:
    for name in ("a.jpg", "sub/ü b.jpg"):
        bucket.put(f"in/{name}", a_photo(), length=len(a_photo()), media_type="image/jpeg")
    bucket.put("in/notes.txt", b"-", length=1, media_type="text/plain")
    with (
        serve_with(bench, **environment(sweep_seconds="0.1")) as site,
        serve_with(bench, **environment(sweep_seconds="0.1")),
        an_api(site, bench) as api,
    ):
        found = Photos(api, bucket)
        wait_until(lambda: found.jobs() == 2)
        for _ in range(2):
            found.run()

        found.wait_for("a.png")
        found.wait_for("sub/ü b.png")
        found.report("notes.txt")
        assert found.jobs() == 2


def test_object_that_cannot_be_read_keeps_no_other_waiting(
    bench: Bench, bucket: ObjectStore
) -> None:
    for name in ("a.jpg", "b.jpg"):
        bucket.put(f"in/{name}", a_photo(), length=len(a_photo()), media_type="image/jpeg")
    # The row of the first cannot be written.
    bench.execute("ALTER TABLE s3_objects ADD CONSTRAINT defect CHECK (key <> 'in/a.jpg')")
    try:
        with a_site(bench, sweep_seconds="0.1"):
            wait_until(lambda: bench.scalar("SELECT key FROM s3_objects") == "in/b.jpg")
    finally:
        bench.execute("ALTER TABLE s3_objects DROP CONSTRAINT defect")


def test_invalid_recipe_leaves_objects_for_later(bench: Bench, bucket: ObjectStore) -> None:
    bucket.put("in/a.jpg", a_photo(), length=len(a_photo()), media_type="image/jpeg")
    with a_site(bench, recipe="recipe=nowhere") as api:
        answer = Photos(api, bucket).tell("a.jpg")
    with a_site(bench, recipe="format=webp") as api:
        job = Photos(api, bucket).tell("a.jpg").json()["jobs"][0]

        assert api.job(job)["recipe"]["format"] == "webp"
    assert answer.status_code == 503
    assert "the recipe of s3://photos/in/ is not valid" in answer.json()["detail"]
    assert "'nowhere' is not a saved recipe" in answer.json()["detail"]


def test_folder_that_the_server_refuses_is_named_in_the_answer(bench: Bench) -> None:
    storage = bench.settings.storage
    wrong = {"URL": storage.url, "ACCESS_KEY": "wrong", "SECRET_KEY": "wrong wrong"}
    keys = {f"SMART_FILTER_S3_{name}": str(value) for name, value in wrong.items()}
    with an_api_with(bench, **environment(), **keys) as api:
        answer = Photos(api, open_buckets(bench)).tell("a.jpg")

    assert answer.status_code == 503
    assert answer.json()["detail"].startswith("the S3 server refuses s3://photos/in/: its keys")


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        ("background=nonsense&foo=1", ["'nonsense' is not a background", "/foo: is not a field"]),
        ("background=preset:tenant/wall&quality=700", ["'700' is not an integer"]),
        ("outputs=cutout", ["it lacks the output image"]),
    ],
)
def test_recipe_that_is_never_valid_is_refused_at_the_start(
    bench: Bench, recipe: str, said: list[str]
) -> None:
    with pytest.raises(SetupFailed) as refused, a_site(bench, recipe=recipe):
        pass

    assert all(words in str(refused.value) for words in said)
    assert "\n" not in str(refused.value)


def test_recipe_with_parts_that_are_added_later_lets_the_service_start() -> None:
    recipe = "recipe=shop&logo=tenant/a&logo_place=top&background=preset:tenant/wall%2Bsite/b"
    more = "&style=brand&segmentation.model=best&segmentation.params.x=1&filters.caption.text=a"
    folder = S3Folder.model_validate({**FOLDERS[0], "recipe": f"{recipe}{more}&margin=5%25"})

    folder_stores.check_recipes(S3FolderSettings.model_construct(folders=(folder,)))


def test_result_is_written_again_after_the_target_was_away(
    bench: Bench, bucket: ObjectStore
) -> None:
    gone = open_store(bench.settings.storage.model_copy(update={"bucket": "gone"}), connections=1)
    with a_site(bench, target="s3://gone/out/") as api:
        Photos(api, bucket).submit("a.jpg")
        Photos(api, bucket).run()
        wait_until(lambda: "gone" in str(bench.scalar("SELECT max(detail) FROM s3_objects")))
        gone.ensure_bucket()
        bench.execute("UPDATE s3_objects SET due_at = now()")

        wait_until(lambda: gone.has("out/a.png"))
