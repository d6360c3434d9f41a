"""Both clients against the service: every method."""

import datetime as dt
import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from integration.picture_worker import picture_worker
from smart_filter_api.auth.api_keys import Scope
from smart_filter_client import Item, errors, verify_webhook
from smart_filter_client.errors import InvalidRequest
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.queue.leases import Failure
from smart_filter_tests.bench import TENANT
from smart_filter_tests.clients import ClientDriver
from smart_filter_tests.outages import wait_until
from smart_filter_tests.serving import Api, a_photo
from smart_filter_tests.stored_results import run_stages
from smart_filter_tests.webhook_receiver import a_receiver, send_due

PHOTO = a_photo()
KEEP = {"background": "keep"}


@pytest.fixture(params=["blocking", "awaited"])
def client(request: pytest.FixtureRequest, api: Api) -> ClientDriver:
    is_async = request.param == "awaited"
    return ClientDriver(None, is_async=is_async, url=api.url, api_key=api.key(*Scope))


def finish(api: Api) -> None:
    """Complete the only job."""
    run_stages(api, StageName.PREPARE, StageName.COMPOSITE)


def test_photo_is_submitted_and_its_picture_downloaded(
    client: ClientDriver, api: Api, tmp_path: Path
) -> None:
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(PHOTO)

    job = client.do("submit", photo, {**KEEP, "metadata.album": "beach"})
    finish(api)
    done = client.do("wait", job.id, timeout=60)
    place = client.do("download", job.id, "image", tmp_path / "out.png")

    assert (job.state, done.state) == ("queued", "succeeded")
    assert done.recipe["background"] == "keep"
    assert done.expires_at is not None
    assert place.read_bytes() == b"made"
    output = client.do("output", job.id, "image")
    assert (output.media_type, output.content) == ("image/png", b"made")


def test_event_stream_is_followed_and_resumed(client: ClientDriver, api: Api) -> None:
    job = client.do("submit", PHOTO, KEEP)
    finish(api)

    events = client.all("stream", job.id)
    rest = client.all("stream", job.id, after=events[1].id)

    assert [event.type for event in events] == [
        *("job.queued", "job.running", "job.stage", "job.stage", "job.succeeded")
    ]
    assert [event.stage for event in events] == [None, None, "prepare", "composite", None]
    assert events[-1].job == client.do("job", job.id)
    assert rest == events[2:]
    assert client.all("stream", job.id, after=events[-1].id) == []


def test_jobs_are_listed_canceled_redriven_and_deleted(client: ClientDriver, api: Api) -> None:
    red = client.do("submit", PHOTO, {**KEEP, "metadata.colour": "red"})
    client.do("submit", PHOTO, {**KEEP, "metadata.colour": "blue"})
    since = red.created_at - dt.timedelta(minutes=1)

    found = client.all("jobs", state="queued", metadata={"colour": "red"}, created_after=since)
    canceled = client.do("cancel", red.id)

    assert [job.id for job in found] == [red.id]
    assert canceled.state == "canceled"
    assert len(client.all("jobs", limit=1)) == 1
    with pytest.raises(errors.Conflict) as raised:
        client.do("cancel", red.id)
    assert raised.value.code == "job_final"
    for _ in range(2):
        client.do("delete", red.id)
    with pytest.raises(errors.Gone):
        client.do("job", red.id)
    api.fail(StageName.PREPARE, Failure("image_unreadable", "It is truncated.", "prepare"))
    [failed] = client.all("jobs", state="failed")
    assert failed.error is not None
    assert failed.error.code == "image_unreadable"
    assert failed.error.remedy.startswith("Save the photo again")
    assert client.do("redrive", failed.id).state in {"queued", "running"}


def test_webhook_deliveries_are_genuine(client: ClientDriver, api: Api) -> None:
    with a_receiver() as receiver:
        made = client.do("create_webhook", receiver.url, ["job.succeeded"])
        job = client.do("submit", PHOTO, KEEP)
        finish(api)
        send_due(api.bench)
        rotated = client.do("rotate_webhook", made.id)
        client.do("test_webhook", made.id)
        send_due(api.bench)

    ended, tested = receiver.got
    event = verify_webhook(made.secret, ended.headers, ended.body)
    assert (event.type, event.job.id if event.job else None) == ("job.succeeded", job.id)
    # Both secrets sign for a day.
    for secret in (made.secret, rotated.secret):
        assert verify_webhook(secret, tested.headers, tested.body).type == "webhook.test"
    with pytest.raises(errors.NotGenuine):
        verify_webhook(rotated.secret, ended.headers, ended.body)
    [test, delivery] = client.all("deliveries", made.id)
    assert (test.type, test.job_id) == ("webhook.test", None)
    assert (delivery.id, delivery.job_id) == (event.id, job.id)
    assert [attempt.status for attempt in delivery.attempts] == [204]


def test_webhook_is_changed_replayed_and_deleted(client: ClientDriver, api: Api) -> None:
    made = client.do("create_webhook", "https://example.com/told")
    client.do("submit", PHOTO, KEEP)
    finish(api)

    paused = client.do("change_webhook", made.id, enabled=False)
    client.do("change_webhook", made.id, enabled=True, events=["job.failed"])
    [failed] = client.all("deliveries", made.id, state="failed")
    replayed = client.do("replay", made.id, failed.id)

    assert (paused.enabled, paused.disabled) == (False, "paused")
    assert client.do("webhook", made.id).events == ("job.failed",)
    assert replayed.state == "waiting"
    assert client.do("replay_failed", made.id) == 0
    assert [one.id for one in client.do("webhooks")] == [made.id]
    client.do("delete_webhook", made.id)
    assert client.do("webhooks") == []


def test_keys_and_tokens_are_issued_listed_and_revoked(client: ClientDriver, api: Api) -> None:
    issued = client.do("issue_key", ["read"], expires_in_seconds=3600)
    token = client.do("issue_token", max_jobs=1)
    device = ClientDriver(None, is_async=client.is_async, url=api.url, api_key=token.key)

    device.do("submit", PHOTO, KEEP)
    with pytest.raises(errors.Forbidden):
        device.do("submit", PHOTO, KEEP)
    client.do("revoke_key", issued.key_id, with_issued=True)
    # The refusal is written some time later: before these, between, or after.
    logged = client.all("audit_events", limit=10)

    of_key = [event.event for event in logged if event.subject == issued.key_id]
    assert of_key == ["key_revoked", "key_issued"]
    assert issued.expires_at is not None
    assert token.key not in repr(token)
    known = {key.key_id: key for key in client.all("keys")}
    assert known[issued.key_id].revoked_at is not None
    assert known[token.key_id].jobs == 1


def test_usage_and_models_are_listed(client: ClientDriver, api: Api) -> None:
    client.do("submit", PHOTO, KEEP)
    finish(api)
    today = dt.datetime.now(dt.UTC).date()

    days = client.do("usage", today - dt.timedelta(1), today + dt.timedelta(1))

    assert all(day.jobs == 1 and "succeeded" in day.by_state for day in days)
    assert {model.task for model in client.do("models")} >= {"segmentation", "face"}


def test_batch_is_submitted_canceled_and_followed_to_its_end(client: ClientDriver) -> None:
    batch = client.do(
        "submit_batch", [a_photo(), Item(a_photo(), {"quality": 50}), b"no photo"], KEEP
    )
    canceled = client.do("cancel_batch", batch.id)
    done = client.do("wait_batch", batch.id, timeout=60)
    events = client.all("stream_batch", batch.id)

    assert (batch.total, batch.failed, batch.is_final) == (3, 1, False)
    codes = [item.error.code if item.error else None for item in batch.items]
    assert codes == [None, None, "unsupported_media"]
    assert (canceled.canceled, done.is_final) == (2, True)
    assert events[-1].type == "batch.finished"
    assert events[-1].batch.canceled == 2
    assert [one.id for one in client.all("batches")] == [batch.id]


def test_take_of_a_batch_is_read(client: ClientDriver) -> None:
    batch = client.do("submit_batch", [a_photo(), a_photo()], KEEP, best="take")

    assert (batch.album.best, batch.total) == ("take", 2)
    assert (batch.take.state, batch.take.base, batch.take.swaps) == ("queued", None, ())
    client.do("cancel_batch", batch.id)
    with pytest.raises(InvalidRequest, match="is not a take"):
        client.do("derive", batch.items[0].job_id, faces={1: 0})


def test_run_waits_and_its_picture_is_saved(client: ClientDriver, api: Api, tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as background:
        running = background.submit(client.do, "run", PHOTO, KEEP, timeout=60)
        wait_until(lambda: bool(client.all("jobs")))
        finish(api)
        job = running.result()

    assert job.succeeded
    assert job.save(tmp_path / "out.png").read_bytes() == b"made"


def test_filters_and_keywords_are_listed(client: ClientDriver) -> None:
    filters = {one.name: one for one in client.do("filters")}
    keywords = {one.word: one for one in client.do("background_keywords")}

    assert filters["hat"].needs == "faces"
    assert "kind" in filters["hat"].parameters["properties"]
    assert keywords["rainbow"].count > 0


def test_settings_of_a_tenant_are_changed_and_restored(client: ClientDriver) -> None:
    changes = {"keep_nothing": True, "recipe": {"background": "keep"}, "link_seconds": 120}
    changed = client.do("change_tenant", TENANT, changes)
    former = {"recipe": None, "keep_nothing": False, "link_seconds": None}
    restored = client.do("change_tenant", TENANT, former)

    assert (changed.keep_nothing, changed.recipe) == (True, {"background": "keep"})
    assert (restored.keep_nothing, restored.recipe) == (False, {})
    assert (changed.link_seconds, restored.link_seconds) == (120, None)
    assert client.do("tenant", TENANT) == restored
    with pytest.raises(errors.Forbidden):
        client.do("change_tenant", TENANT, {"jobs_waiting": 5})


def test_own_picture_is_added_listed_and_deleted(
    client: ClientDriver, api: Api, tmp_path: Path
) -> None:
    file = tmp_path / "mark.png"
    file.write_bytes(PHOTO)

    with picture_worker(api.bench):
        wall = client.do("add_picture", "Wall.jpg", PHOTO, title="Old wall", tags=["brick"])
        logo = client.do("add_picture", "mark", file, logo=True)
        broken = client.do("add_picture", "broken", PHOTO[:200])

    assert (wall.name, wall.state, wall.tags) == ("tenant/wall", "ready", ("brick",))
    assert (wall.title, wall.sha256) == ("Old wall", hashlib.sha256(PHOTO).hexdigest())
    assert (logo.name, logo.use) == ("tenant/mark", "logo")
    assert (broken.state, broken.error.code) == ("refused", "image_unreadable")
    client.do("delete_picture", "tenant/broken")
    assert [one.name for one in client.do("own_pictures")] == ["tenant/mark", "tenant/wall"]
