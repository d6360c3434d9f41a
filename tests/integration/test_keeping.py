"""How long each tenant's things are kept: shown by listing the bucket."""

import datetime as dt
from dataclasses import dataclass

import httpx
import pytest
from sqlalchemy import text

from smart_filter_shared.ids import Tenant
from smart_filter_shared.jobs import transitions
from smart_filter_shared.jobs.leases import Done, Failure
from smart_filter_shared.jobs.presence import CELL
from smart_filter_shared.jobs.retention import Kind
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.storage import keys
from smart_filter_tests.bench import KEEPING, TENANT
from smart_filter_tests.serving import Api, a_photo
from smart_filter_workers.retention import Retention

PREPARE, SEGMENTATION, FACE, SMILE, COMPOSITE = StageName
MINUTE, HOUR, DAY = 60, 3600, 24 * 3600
PICTURE = b"a picture" * 50_000
FOUND = {
    PREPARE: {"width": 48, "height": 32, "format": "jpg", "proposals": []},
    SEGMENTATION: {"coverage": 0.25},
    FACE: {
        "faces": [
            {"box": [1.0, 2.0, 3.0, 4.0], "score": 0.9, "landmarks": [[1.5, 2.5]] * 5},
        ]
    },
    SMILE: {
        "smiles": [{"level": "mild", "score": 0.4}],
        "eyes": [{"left_open": True, "right_open": True}],
    },
    COMPOSITE: {"background": None},
}


@dataclass(frozen=True, slots=True)
class House:
    """The API, and who removes what is kept no longer."""

    api: Api
    retention: Retention

    def finished(self, picture: bytes = PICTURE) -> str:
        """Submit a photo and take it all the way; every stage stores an object."""
        job_id = self.api.submit(outputs="image,faces")
        for stage in StageName:
            self.run(stage, picture if stage == COMPOSITE else b"made")
        return job_id

    def run(self, stage: StageName, made: bytes = PICTURE) -> None:
        """Run the head of a stage's queue."""
        lease = self.api.bench.claim_one(stage)
        ends = stage == COMPOSITE
        key = keys.artifact(TENANT, lease.job_id, stage, lease.token, "image.png")
        self.api.bench.store.put(key, made, length=len(made), media_type="image/png")
        file = {"key": key, "media_type": "image/png", "width": 48, "height": 32, "format": "png"}
        files = {"image": {**file, "bytes": len(made)}} if ends else {}
        result = {"facts": FOUND[stage], "arrays": {}, "files": files}
        kind = Kind.RESULT if ends else Kind.INTERMEDIATE
        with self.api.bench.transaction() as connection:
            transitions.complete(connection, [Done(lease, result, 0.1, {key: kind})], KEEPING)

    def pass_time(self, *, seconds: float) -> None:
        """Let all that there is be so much older, and sweep."""
        with self.api.bench.transaction() as connection:
            for change in (
                "artifacts SET expires_at = expires_at - make_interval(secs => :s)",
                "jobs SET expires_at = expires_at - make_interval(secs => :s)",
            ):
                connection.execute(text(f"UPDATE {change}"), {"s": seconds})
        self.retention.remove_expired()

    def bucket(self, job_id: str) -> list[str]:
        """Return what lies in the bucket of a job: the names of stages, or `photo`."""
        found = (one.key.split("/") for one in self.api.bench.store.stored())
        return sorted(parts[3] for parts in found if parts[2] == job_id)

    def fetch(self, job_id: str, name: str, **query: str) -> httpx.Response:
        return self.api.client.get(f"/v1/jobs/{job_id}/outputs/{name}", params=query)

    def hand_over(self, job_id: str, *names: str) -> None:
        """Fetch outputs; return when that is noted, which is after the last byte was sent."""
        for name in names:
            assert self.fetch(job_id, name).status_code == 200
        for _ in range(10_000):
            if set(self.handed_over(job_id)) >= set(names):
                return
        raise AssertionError(f"of {names} only {self.handed_over(job_id)} are noted")

    def handed_over(self, job_id: str) -> list[str]:
        return self.row("SELECT handed_over FROM jobs WHERE id = :id", job_id)  # type: ignore[return-value]  # texts

    def row(self, query: str, job_id: str) -> object:
        with self.api.bench.transaction() as connection:
            return connection.execute(text(query), {"id": job_id}).scalar_one()

    def rows(self, table: str, job_id: str) -> int:
        """Return how many rows of a table are of a job."""
        return int(str(self.row(f"SELECT count(*) FROM {table} WHERE job_id = :id", job_id)))


@pytest.fixture
def house(api: Api) -> House:
    return House(api, Retention(api.bench.engine, api.bench.store, cell=CELL))


def seconds_kept(job: dict[str, str]) -> float:
    ended, expires = (dt.datetime.fromisoformat(job[one]) for one in ("finished_at", "expires_at"))
    return (expires - ended).total_seconds()


def test_tenants_things_are_kept_as_long_as_is_said_of_it(house: House) -> None:
    house.api.keep(input_seconds=HOUR, result_seconds=2 * HOUR)
    job_id = house.finished()
    told = house.api.job(job_id)

    house.pass_time(seconds=HOUR - MINUTE)
    all_of_it = house.bucket(job_id)
    house.pass_time(seconds=MINUTE)
    results = house.bucket(job_id)
    house.pass_time(seconds=HOUR)

    assert seconds_kept(told) == 2 * HOUR
    assert all_of_it == ["composite", "face", "photo", "prepare", "segmentation", "smile"]
    assert results == ["composite"]
    assert house.bucket(job_id) == []
    assert house.fetch(job_id, "image").json()["code"] == "output_expired"


def test_longer_than_the_settings_is_possible_too(house: House) -> None:
    house.api.keep(input_seconds=30 * DAY, result_seconds=60 * DAY)
    job_id = house.finished()

    house.pass_time(seconds=29 * DAY)

    assert len(house.bucket(job_id)) == 6
    assert house.fetch(job_id, "image").status_code == 200


def test_what_was_submitted_before_is_kept_as_it_was_said_then(house: House) -> None:
    before = house.finished()
    house.api.keep(input_seconds=0, result_seconds=MINUTE)
    after = house.finished()
    told = [seconds_kept(house.api.job(one)) for one in (before, after)]

    house.pass_time(seconds=MINUTE)

    assert told == [7 * DAY, MINUTE]
    assert (house.bucket(after), len(house.bucket(before))) == ([], 6)


def test_job_that_waits_keeps_its_photo_however_short_that_is(house: House) -> None:
    house.api.keep(input_seconds=0)
    job_id = house.api.submit()

    house.pass_time(seconds=HOUR)

    assert house.bucket(job_id) == ["photo"]


def test_other_tenants_things_are_kept_as_ever(house: House) -> None:
    house.api.keep(Tenant("other"), input_seconds=0, result_seconds=MINUTE)
    job_id = house.finished()

    house.pass_time(seconds=HOUR)

    assert len(house.bucket(job_id)) == 6


def test_what_was_read_from_the_photo_goes_with_the_results(house: House) -> None:
    job_id = house.finished()
    assert house.api.job(job_id)["faces"]

    house.pass_time(seconds=7 * DAY)
    job = house.api.job(job_id)

    found = ("photo", "people", "image", "faces", "rating", "printability", "frame", "confidence")
    assert {name: job[name] for name in found} == dict.fromkeys(found)
    assert (job["state"], job["recipe"]["outputs"]) == ("succeeded", ["image", "faces"])
    assert house.row("SELECT photo_digest FROM jobs WHERE id = :id", job_id) is None
    query = "SELECT count(*) FROM stages WHERE job_id = :id AND result IS NOT NULL"
    assert house.row(query, job_id) == 0
    assert house.fetch(job_id, "faces").json()["code"] == "output_expired"
    assert house.fetch(job_id, "rating").status_code == 404


def test_events_go_with_the_results(house: House) -> None:
    job_id = house.finished()
    before = house.rows("events", job_id)

    house.pass_time(seconds=7 * DAY)

    assert (before, house.rows("events", job_id)) == (8, 0)
    assert house.api.client.get(f"/v1/jobs/{job_id}/events").status_code == 204


def test_log_of_deliveries_goes_with_the_results_and_what_waits_is_still_sent(
    house: House,
) -> None:
    house.api.client.post("/v1/webhooks", json={"url": "https://example.com/told"})
    house.api.client.post("/v1/webhooks", json={"url": "https://example.com/late"})
    job_id = house.finished()
    with house.api.bench.transaction() as connection:
        connection.execute(
            text("""
                WITH sent AS (
                    UPDATE deliveries SET state = 'succeeded', finished_at = now()
                    WHERE id = (SELECT id FROM deliveries LIMIT 1) RETURNING id
                )
                INSERT INTO delivery_attempts (delivery_id, at, seconds, status, answer)
                SELECT id, now(), 1, 200, 'thanks' FROM sent
            """)
        )

    house.pass_time(seconds=7 * DAY)

    query = "SELECT state FROM deliveries WHERE job_id = :id"
    assert house.row(query, job_id) == "waiting"
    with house.api.bench.transaction() as connection:
        log = connection.execute(text("SELECT count(*) FROM delivery_attempts")).scalar_one()
    assert log == 0


def test_remembered_answer_goes_and_the_request_is_not_done_twice(house: House) -> None:
    house.api.keep(result_seconds=MINUTE)
    key = {"Idempotency-Key": "once"}
    sent = {"photo": ("photo", a_photo())}
    form = {"outputs": "image,faces"}
    first = house.api.client.post("/v1/jobs", files=sent, data=form, headers=key)
    for stage in StageName:
        house.run(stage)

    house.pass_time(seconds=MINUTE)
    again = house.api.client.post("/v1/jobs", files=sent, data=form, headers=key)

    assert (again.status_code, again.json()["code"]) == (410, "output_expired")
    assert first.json()["id"] in again.json()["detail"]
    assert len(house.api.client.get("/v1/jobs").json()["items"]) == 1


def test_failed_job_goes_on_while_its_photo_is_kept(house: House) -> None:
    house.api.keep(input_seconds=DAY, result_seconds=MINUTE)
    job_id = house.api.submit(outputs="image,faces")
    house.run(PREPARE)
    house.api.fail(SEGMENTATION, Failure("internal", "It broke", "why"))

    house.pass_time(seconds=DAY - MINUTE)
    kept = house.row("SELECT expired_at FROM jobs WHERE id = :id", job_id)
    redriven = house.api.client.post(f"/v1/jobs/{job_id}/redrive")
    for stage in (SEGMENTATION, FACE, SMILE, COMPOSITE):
        house.run(stage)

    assert (kept, redriven.status_code) == (None, 202)
    assert seconds_kept(house.api.job(job_id)) == MINUTE


def test_failed_job_whose_time_is_over_is_not_redriven(house: House) -> None:
    job_id = house.api.submit()
    house.api.fail(PREPARE, Failure("internal", "It broke", "why"))
    house.pass_time(seconds=7 * DAY)

    answer = house.api.client.post(f"/v1/jobs/{job_id}/redrive")

    assert (answer.status_code, answer.json()["code"]) == (410, "inputs_expired")


# --- nothing is kept once it is handed over


def test_nothing_is_kept_once_all_outputs_are_fetched(house: House) -> None:
    house.api.keep(nothing=True)
    job_id = house.finished()
    assert house.fetch(job_id, "image").content == PICTURE

    house.hand_over(job_id, "image", "faces")
    refused = house.fetch(job_id, "image")
    house.retention.remove_expired()

    assert (refused.status_code, refused.json()["code"]) == (410, "output_expired")
    assert house.bucket(job_id) == []
    assert house.api.job(job_id)["faces"] is None
    assert house.fetch(job_id, "faces").json()["code"] == "output_expired"


def test_all_is_kept_while_an_output_is_not_fetched(house: House) -> None:
    house.api.keep(nothing=True)
    job_id = house.finished()

    house.hand_over(job_id, "image")
    house.retention.remove_expired()

    assert len(house.bucket(job_id)) == 6
    assert house.fetch(job_id, "image").status_code == 200
    assert house.fetch(job_id, "faces").status_code == 200


def test_what_nobody_fetches_goes_within_an_hour(house: House) -> None:
    house.api.keep(nothing=True)
    job_id = house.finished()
    told = house.api.job(job_id)

    house.pass_time(seconds=HOUR - MINUTE)
    before = len(house.bucket(job_id))
    house.pass_time(seconds=MINUTE)

    assert (seconds_kept(told), before, house.bucket(job_id)) == (HOUR, 6, [])


def test_failed_job_of_which_nothing_is_to_be_kept_goes_within_an_hour(house: House) -> None:
    house.api.keep(nothing=True)
    job_id = house.api.submit()
    house.api.fail(PREPARE, Failure("internal", "It broke", "why"))

    house.pass_time(seconds=HOUR)

    assert house.bucket(job_id) == []


def test_link_is_not_given_out_where_nobody_could_tell_when_it_is_used(house: House) -> None:
    house.api.keep(nothing=True)
    job_id = house.finished()

    answer = house.fetch(job_id, "image", redirect="1")

    assert (answer.status_code, answer.content) == (200, PICTURE)


def test_download_that_breaks_off_hands_nothing_over(house: House) -> None:
    house.api.keep(nothing=True)
    # More than all buffers on the way hold.
    job_id = house.finished(bytes(30_000_000))

    url = f"/v1/jobs/{job_id}/outputs/image"
    with house.api.client.stream("GET", url) as answer:
        next(answer.iter_raw())
    house.hand_over(job_id, "faces")

    assert house.handed_over(job_id) == ["faces"]


def test_answer_that_the_client_has_already_hands_nothing_over(house: House) -> None:
    house.api.keep(nothing=True)
    job_id = house.finished()
    tag = house.fetch(job_id, "image").headers["ETag"]
    house.hand_over(job_id, "image")
    with house.api.bench.transaction() as connection:
        connection.execute(text("UPDATE jobs SET handed_over = '{}'"))

    url = f"/v1/jobs/{job_id}/outputs/image"
    answer = house.api.client.get(url, headers={"If-None-Match": tag})
    house.hand_over(job_id, "faces")

    assert answer.status_code == 304
    assert "image" not in house.handed_over(job_id)


def test_upload_goes_when_no_job_has_to_take_it_any_more(house: House) -> None:
    house.api.keep(nothing=True)
    photo = a_photo()
    wish = {"content_type": "image/jpeg", "bytes": len(photo)}
    upload = house.api.client.post("/v1/uploads", json=wish).json()
    httpx.put(upload["put_url"], content=photo, headers=upload["headers"]).raise_for_status()
    named = {"upload_id": upload["upload_id"], "recipe": {"outputs": ["image", "faces"]}}
    job_ids = [house.api.client.post("/v1/jobs", json=named).json()["id"] for _ in range(2)]

    left = []
    for job_id in job_ids:
        for stage in StageName:
            house.run(stage)
        house.hand_over(job_id, "image", "faces")
        house.retention.remove_expired()
        stored = [one.key for one in house.api.bench.store.stored()]
        left.append([key for key in stored if upload["upload_id"] in key])

    assert (len(left[0]), left[1]) == (1, [])


def test_other_tenants_jobs_are_fetched_as_often_as_they_want(house: House) -> None:
    job_id = house.finished()

    statuses = [house.fetch(job_id, name).status_code for name in ("image", "faces", "image")]
    house.retention.remove_expired()

    assert statuses == [200, 200, 200]
    assert house.handed_over(job_id) == []
    assert len(house.bucket(job_id)) == 6


def test_row_of_a_version_that_did_not_say_is_kept_as_the_settings_say(house: House) -> None:
    job_id = house.api.submit(outputs="image,faces")
    with house.api.bench.transaction() as connection:
        connection.execute(
            text("UPDATE jobs SET keep_input_seconds = NULL, keep_result_seconds = NULL")
        )
    for stage in StageName:
        house.run(stage)

    assert seconds_kept(house.api.job(job_id)) == KEEPING.result_seconds
