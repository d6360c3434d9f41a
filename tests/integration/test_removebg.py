"""The interface of remove.bg: bodies, answers, errors; identical requests share a job."""

import base64
import io
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from math import inf
from typing import Any

import anyio
import httpx
import pytest
from fastapi import Request
from sqlalchemy import text

from integration.removebg_client import (
    PHOTO,
    PICTURE,
    PREPARED,
    RemoveBgClient,
    code_of,
    open_client,
)
from smart_filter_api.auth import api_keys
from smart_filter_api.auth.api_keys import Caller, Scope
from smart_filter_api.auth.security_log import RefusalLog
from smart_filter_api.intake.body import PhotoRequest, SpooledPicture
from smart_filter_api.removebg import coalescing
from smart_filter_api.removebg.coalescing import Waiter
from smart_filter_api.services import container
from smart_filter_api.services.container import Services
from smart_filter_deploy.embedded.stack import Stack
from smart_filter_shared.ids import JobId, Tenant
from smart_filter_shared.jobs.queries import JobRow
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.priority import Priority
from smart_filter_shared.queue.states import JobState
from smart_filter_shared.security.photo_header import PhotoFormat, PhotoHeader
from smart_filter_tests.bench import TENANT, Bench, settings_of
from smart_filter_tests.outages import wait_until
from smart_filter_tests.serving import Api, Site, a_photo, an_api, serve_api

NO_KEY = b'{"errors":[{"title":"API Key invalid","code":"auth_failed"}]}'
URLENCODED = "application/x-www-form-urlencoded"
ENCODED = base64.b64encode(PHOTO).decode()
SOON_SECONDS = 0.4
HEADER = PhotoHeader(PhotoFormat.JPEG, 800, 600)


@pytest.fixture
def client(api: Api) -> Iterator[RemoveBgClient]:
    with open_client(api) as client:
        yield client


def test_image_is_answered_with_bytes_and_headers(client: RemoveBgClient) -> None:
    began = time.time()
    begun = client.begin(size="hd", crop="true")
    job = client.job()
    client.work()

    answer = begun.result()
    assert (answer.status_code, answer.content) == (200, PICTURE)
    assert answer.headers["Content-Type"] == "image/png"
    shown = {name: value for name, value in answer.headers.items() if name.startswith("x-")}
    assert int(shown.pop("x-ratelimit-remaining")) < 6000
    assert int(shown.pop("x-ratelimit-reset")) > began
    assert (
        shown.items()
        >= {
            "x-type": "person",
            "x-width": "400",
            "x-height": "300",
            "x-max-width": "800",
            "x-max-height": "600",
            "x-credits-charged": "0.0",
            "x-foreground-top": "100",
            "x-foreground-left": "200",
            "x-foreground-width": "400",
            "x-foreground-height": "500",
            "x-ratelimit-limit": "6000",
        }.items()
    )
    assert "Retry-After" not in answer.headers
    wished = [job["recipe"][name] for name in ("priority", "background", "size")]
    assert wished == [Priority.INTERACTIVE, "transparent", "hd"]
    assert job["photo_name"] == "photo.jpg"


def test_json_holds_the_image_in_base64(client: RemoveBgClient) -> None:
    begun = client.begin(accept="application/json", type_level="none")
    client.work()

    answer = begun.result()
    assert answer.headers["Content-Type"] == "application/json"
    assert int(answer.headers["Content-Length"]) == len(answer.content)
    assert "X-Type" not in answer.headers
    assert answer.json() == {
        "data": {
            "result_b64": base64.b64encode(PICTURE).decode(),
            "foreground_top": 100,
            "foreground_left": 200,
            "foreground_width": 400,
            "foreground_height": 500,
        }
    }


@pytest.mark.parametrize(
    "body",
    [
        {"json": {"image_file_b64": ENCODED, "crop": True}},
        {"data": {"image_file_b64": ENCODED, "crop": "true"}},
        {"files": {"image_file_b64": (None, ENCODED), "crop": (None, "true"), "roi": (None, "")}},
        {
            "content": f"crop=true&image_file_b64={ENCODED}",
            "headers": {"Content-Type": URLENCODED},
        },
    ],
    ids=[
        *("json", "urlencoded", "base64-as-a-part", "unescaped"),
    ],
)
def test_image_is_accepted_in_every_common_encoding(
    client: RemoveBgClient, body: dict[str, Any]
) -> None:
    answer = client.begin_request(lambda: client.client.post("/v1.0/removebg", **body))
    assert not answer.done(), answer.result().text
    job = client.job()
    client.work()

    assert (answer.result().status_code, answer.result().content) == (200, PICTURE)
    assert job["recipe"]["crop"] == "true"


@pytest.mark.parametrize(
    ("code", "stage", "fields", "expected"),
    [
        ("no_person", StageName.SEGMENTATION, {}, (400, "unknown_foreground")),
        ("image_unreadable", StageName.PREPARE, {}, (400, "failed_to_read_image")),
        ("image_too_large", StageName.PREPARE, {}, (400, "resolution_too_high")),
        ("photo_unreachable", StageName.PREPARE, {}, (400, "failed_image_download")),
        (
            "photo_unreachable",
            StageName.COMPOSITE,
            {"bg_image_url": "https://a.example/b"},
            (400, "failed_bg_download"),
        ),
        ("model_failed", StageName.SEGMENTATION, {}, (500, "internal")),
        ("unavailable", StageName.SEGMENTATION, {}, (503, "unavailable")),
        ("deadline", StageName.SEGMENTATION, {}, (503, "timeout")),
    ],
)
def test_failure_has_its_code(
    client: RemoveBgClient,
    code: str,
    stage: StageName,
    fields: dict[str, str],
    expected: tuple[int, str],
) -> None:
    answer = client.begin(**fields)
    client.fail(code, stage)

    assert code_of(answer.result()) == expected
    assert ("Retry-After" in answer.result().headers) is (expected[0] == 503)


def test_unreadable_background_file_is_an_unreadable_image(client: RemoveBgClient) -> None:
    files = {"image_file": ("p", PHOTO), "bg_image_file": ("b", a_photo("PNG"))}
    answer = client.begin_request(lambda: client.client.post("/v1.0/removebg", files=files))
    client.fail("image_unreadable", StageName.COMPOSITE)

    assert code_of(answer.result()) == (400, "failed_to_read_image")


@pytest.mark.parametrize(
    ("fields", "work", "code"),
    [
        ({"type": "car"}, {"people": None}, "unknown_foreground"),
        ({}, {"people": None}, "unknown_foreground"),
        # It exceeds the photo only after the photo is rotated upright.
        ({"roi": "0px 0px 500px 700px"}, {"prepared": PREPARED}, "roi_exceeds_bounds"),
    ],
    ids=[
        "no-person-in-the-cutout",
        "no-person",
        "region-exceeds-the-turned-photo",
    ],
)
def test_job_that_succeeds_may_still_be_a_removebg_error(
    client: RemoveBgClient, fields: dict[str, str], work: dict[str, Any], code: str
) -> None:
    answer = client.begin(**fields)
    client.work(**work)

    assert code_of(answer.result()) == (400, code)


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_job_canceled_or_deleted_meanwhile_is_unavailable(
    client: RemoveBgClient, method: str
) -> None:
    answer = client.begin()
    path = f"/v1/jobs/{client.job()['id']}" + ("/cancel" if method == "POST" else "")
    client.api.client.request(method, path)

    assert code_of(answer.result()) == (503, "unavailable")


def test_chunked_body_over_the_limit_is_refused_though_each_picture_is_allowed(
    client: RemoveBgClient,
) -> None:
    parts = {"image_file": 35, "bg_image_file": 35, "image_file_b64": 15}  # in MB
    request = client.client.build_request(
        "POST", "/v1.0/removebg", files={name: bytes(mb * 1_000_000) for name, mb in parts.items()}
    )
    body = request.read()
    chunks = (body[start : start + 1_000_000] for start in range(0, len(body), 1_000_000))

    answer = client.client.post(
        request.url, content=chunks, headers={"Content-Type": request.headers["Content-Type"]}
    )

    assert code_of(answer) == (400, "file_too_large")
    assert client.api.leftovers() == {}


@pytest.mark.parametrize("path", ["/v1.0/removebg", "/v1.0/account", "/v1.0/improve"])
@pytest.mark.parametrize("headers", [{}, {"X-Api-Key": "sf_live_wrong"}])
def test_unknown_key_is_answered_literally(api: Api, path: str, headers: dict[str, str]) -> None:
    method = "GET" if path.endswith("account") else "POST"

    answer = httpx.request(method, api.url + path, headers=headers, timeout=60)

    assert (answer.status_code, answer.content) == (403, NO_KEY)
    assert "X-RateLimit-Limit" not in answer.headers


@pytest.mark.parametrize("kind", ["may not submit", "of a device"])
def test_key_without_the_scope_is_refused(api: Api, kind: str) -> None:
    key = api.key(Scope.READ)
    if kind == "of a device":
        key = api.create("/v1/tokens", json={"scopes": ["submit"]})["key"]

    answer = httpx.post(
        f"{api.url}/v1.0/removebg",
        headers={"X-Api-Key": key},
        files={"image_file": PHOTO},
        timeout=60,
    )

    assert code_of(answer) == (403, "auth_failed")


def test_too_many_requests_are_refused_with_retry_after(client: RemoveBgClient) -> None:
    client.api.limit(requests_per_minute=1)

    answers = [client.client.get("/v1.0/account") for _ in range(3)]

    assert code_of(answers[-1]) == (429, "rate_limit_exceeded")
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 60
    assert answers[-1].headers["X-RateLimit-Remaining"] == "0"
    assert "Retry-After" not in answers[0].headers


def test_full_queue_is_refused(client: RemoveBgClient) -> None:
    client.api.limit(jobs_waiting=1)
    client.api.submit(background="keep")

    answer = client.post()

    assert code_of(answer) == (429, "rate_limit_exceeded")
    assert "Retry-After" in answer.headers


def test_credits_are_the_megapixels_of_today(client: RemoveBgClient) -> None:
    client.api.limit(megapixels_per_day=0.9)
    answer = client.begin()
    client.work()

    assert answer.result().headers["X-Credits-Charged"] == "0.48"
    left = client.client.get("/v1.0/account").json()["data"]["attributes"]["credits"]
    assert left == {"total": 0.42, "subscription": 0.42, "payg": 0.0, "enterprise": 0.0}
    assert code_of(client.post(crop="true")) == (402, "insufficient_credits")


@pytest.mark.parametrize(
    ("method", "path", "said", "allow"),
    [
        ("GET", "/v1.0/removebg", (405, "method_not_allowed"), "POST"),
        ("POST", "/v1.0/account", (405, "method_not_allowed"), "GET, HEAD"),
        ("GET", "/v1.0/nothing", (404, "not_found"), None),
        ("POST", "/v1.0/improve", (404, "not_found"), None),
    ],
)
def test_unknown_path_or_method_is_an_error_in_the_removebg_envelope(
    client: RemoveBgClient, method: str, path: str, said: tuple[int, str], allow: str | None
) -> None:
    answer = client.client.request(method, path)

    assert code_of(answer) == said
    assert answer.headers.get("Allow") == allow


@pytest.fixture(scope="module")
def impatient_site(servers: Stack) -> Iterator[Site]:
    """Another API process over the same servers, with a shorter timeout."""
    settings = settings_of(servers.addresses, SMART_FILTER_REMOVEBG_SECONDS=str(SOON_SECONDS))
    with serve_api(settings) as site:
        yield site


@pytest.fixture
def impatient(impatient_site: Site, bench: Bench) -> Iterator[RemoveBgClient]:
    with an_api(impatient_site, bench) as api, open_client(api) as client:
        yield client


def states(client: RemoveBgClient) -> list[str]:
    return [job["state"] for job in client.api.read("/v1/jobs")["items"]]


def request_row(client: RemoveBgClient) -> Waiter:
    (row,) = client.api.bench.rows("SELECT key, job_id, claimed_at FROM requests")
    return Waiter(TENANT, row.key, JobId(row.job_id), row.claimed_at, is_first=True)


async def give_up(client: RemoveBgClient, seat: Waiter) -> JobRow | None:
    async with container.open_services(client.api.bench.settings, RefusalLog()) as services:
        return await coalescing.abandon(services, seat)


def test_identical_requests_to_two_processes_share_one_job(client: RemoveBgClient) -> None:
    with (
        serve_api(client.api.bench.settings) as site,
        open_client(client.api, url=site.url) as other,
    ):
        answers = [client.begin(crop="true"), client.join(crop="true"), other.join(crop="true")]
        client.work()

        assert [answer.result().content for answer in answers] == [PICTURE] * 3
    assert client.jobs() == 1


def test_simultaneous_requests_share_one_job_and_one_photo(client: RemoveBgClient) -> None:
    photo = SpooledPicture(io.BytesIO(PHOTO), len(PHOTO), "a digest", HEADER)
    upload = PhotoRequest(photo, None, {"background": ["keep"]})
    request = Request({"type": "http"}, anyio.sleep_forever)  # its client stays

    async def arrive() -> list[Waiter]:
        seats = []

        async def take(services: Services) -> None:
            seat = await coalescing.join_or_submit(services, request, caller, upload, ends_at=inf)
            seats.append(seat)

        async with container.open_services(client.api.bench.settings, RefusalLog()) as services:
            caller = await called(services)
            async with anyio.create_task_group() as together:
                for _ in range(12):
                    together.start_soon(take, services)
        return seats

    async def called(services: Services) -> Caller:
        digest = api_keys.hash_key(client.api.key(Scope.SUBMIT))
        return await services.database.query(api_keys.authenticate, digest)

    seats = anyio.run(arrive)

    assert len({seat.job_id for seat in seats}) == client.jobs() == 1
    assert [seat.is_first for seat in seats].count(True) == 1
    assert client.api.leftovers()["objects"] == 1


@pytest.mark.parametrize("difference", ["a field", "the photo", "the tenant"])
def test_different_requests_share_nothing(client: RemoveBgClient, difference: str) -> None:
    client.begin()
    if difference == "a field":
        client.begin(crop="true")
    elif difference == "the photo":
        client.begin(a_photo("PNG"))
    else:
        key = client.api.key(Scope.SUBMIT, tenant=Tenant("else"))
        client.client.headers["X-Api-Key"] = key
        client.begin()

    assert client.jobs() == 2
    client.cancel()


def test_job_that_takes_too_long_is_canceled_with_its_stages(impatient: RemoveBgClient) -> None:
    answer = impatient.post()

    assert code_of(answer) == (503, "timeout")
    assert int(answer.headers["Retry-After"]) > 0
    assert states(impatient) == [JobState.CANCELED]
    assert impatient.api.bench.claim(StageName.PREPARE) == []


def test_job_continues_while_another_request_waits_for_it(client: RemoveBgClient) -> None:
    client.begin()
    first = request_row(client)
    answer = client.join()

    anyio.run(give_up, client, first)

    assert states(client) == [JobState.QUEUED]
    client.work()
    assert (answer.result().status_code, answer.result().content) == (200, PICTURE)
    assert client.jobs() == 1


def test_client_that_left_early_joins_its_job_again(client: RemoveBgClient) -> None:
    request = client.client.build_request("POST", "/v1.0/removebg", files={"image_file": PHOTO})
    body = request.read()
    head = b"".join(b"%b: %b\r\n" % header for header in request.headers.raw)
    address = (request.url.host, request.url.port)
    with socket.create_connection(address, timeout=60) as connection:
        connection.sendall(b"POST /v1.0/removebg HTTP/1.1\r\n" + head + b"\r\n" + body)
        wait_until(lambda: client.jobs() == 1)
    answer = client.join()

    client.work()
    assert (answer.result().status_code, answer.result().content) == (200, PICTURE)
    assert client.jobs() == 1


def test_refused_request_leaves_no_claim(client: RemoveBgClient) -> None:
    client.api.limit(megapixels_per_day=0.1)
    assert client.post().status_code == 402

    assert client.api.bench.scalar("SELECT count(*) FROM requests") == 0


def test_claim_of_a_dead_process_is_taken_over(
    client: RemoveBgClient, impatient: RemoveBgClient
) -> None:
    answer = client.begin()
    client.work()
    answer.result()

    def claimed(*, seconds_ago: int) -> None:
        client.api.bench.execute(
            """
            UPDATE requests SET job_id = NULL,
                claimed_at = now() - make_interval(secs => :ago)
        """,
            ago=seconds_ago,
        )

    claimed(seconds_ago=30)
    assert code_of(impatient.post()) == (503, "timeout")
    assert client.jobs() == 1

    claimed(seconds_ago=61)
    answer = client.begin()
    client.work()
    assert answer.result().status_code == 200


def test_job_that_ends_during_its_cancel_is_answered(client: RemoveBgClient) -> None:
    answer = client.begin()
    client.work()
    answer.result()

    ended = anyio.run(give_up, client, request_row(client))

    assert ended is not None
    assert ended.state == JobState.SUCCEEDED


def test_timeout_locks_the_job_before_its_request_like_a_deletion(client: RemoveBgClient) -> None:
    client.begin()
    seat = request_row(client)

    with ThreadPoolExecutor(1) as pool:
        with client.api.bench.transaction() as deletion:
            deletion.execute(
                text("SELECT FROM jobs WHERE id = :id FOR NO KEY UPDATE"), {"id": seat.job_id}
            )
            leaving = pool.submit(anyio.run, give_up, client, seat)
            with client.api.bench.transaction() as watcher:
                waits = text("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")
                while not watcher.execute(waits).scalar_one():
                    assert not leaving.done()
            deletion.execute(text("SELECT FROM requests FOR UPDATE NOWAIT"))
        leaving.result()

    assert states(client) == [JobState.CANCELED]


def test_last_picture_sent_ends_the_job_of_a_keep_nothing_tenant(client: RemoveBgClient) -> None:
    client.api.keep(nothing=True)
    answers = [client.begin(), client.join()]
    client.work()

    assert [answer.result().content for answer in answers] == [PICTURE, PICTURE]
    picture = client.job()["outputs"]["image"]
    wait_until(lambda: client.api.client.get(picture).status_code == 410)


def test_saved_recipe_applies_where_the_request_says_nothing(client: RemoveBgClient) -> None:
    fields = {"background": "color:teal", "format": "jpg", "crop": True, "size": "hd"}
    saved = client.api.client.put("/v1/recipes/shop", json={"recipe": fields})
    begun = client.begin(recipe="shop", size="preview")
    job = client.job()
    client.work()

    assert (saved.status_code, begun.result().status_code) == (200, 200)
    recipe = job["recipe"]
    asked = {name: recipe[name] for name in ("background", "format", "crop", "size", "outputs")}
    assert asked == {
        "background": "color:teal",
        "format": "jpg",
        "crop": "true",
        "size": "preview",
        "outputs": ["image"],
    }
    assert (recipe["shadow"], job["recipe"]["priority"]) == ("none", "interactive")


@pytest.mark.parametrize(
    ("recipe", "background"),
    [("youtube-thumbnail", "transparent"), ("jpgs", "color:white"), ("jpgs,pngs", "transparent")],
)
def test_background_stays_removed_unless_the_saved_recipe_has_one(
    client: RemoveBgClient, recipe: str, background: str
) -> None:
    for name, format_ in (("jpgs", "jpeg"), ("pngs", "png")):
        fields = {"size": "1280x720", "format": format_}
        client.api.client.put(f"/v1/recipes/{name}", json={"recipe": fields}).raise_for_status()
    begun = client.begin(recipe=recipe)
    job = client.job()
    client.work()

    assert begun.result().status_code == 200
    assert (job["recipe"]["background"], job["recipe"]["size"]) == (background, "1280x720")


def test_unknown_recipe_is_refused(client: RemoveBgClient) -> None:
    answer = client.post(recipe="shpo")

    assert answer.status_code == 400
    assert "shpo" in answer.text
