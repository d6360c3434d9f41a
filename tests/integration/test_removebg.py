"""The interface of remove.bg: bodies, answers, headers, errors."""

import base64
import socket
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from smart_filter_api.keys import Scope
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.recipe import Priority
from smart_filter_tests.removing import PHOTO, PICTURE, PREPARED, Removing, code_of, removing
from smart_filter_tests.serving import Api, a_photo

NO_KEY = b'{"errors":[{"title":"API Key invalid","code":"auth_failed"}]}'


@pytest.fixture
def client(api: Api) -> Iterator[Removing]:
    """A client that asks as those of remove.bg do."""
    with removing(api) as client:
        yield client


def test_image_is_answered_with_bytes_and_headers(client: Removing) -> None:
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


def test_json_holds_the_image_in_base64(client: Removing) -> None:
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


ENCODED = base64.b64encode(PHOTO).decode()


@pytest.mark.parametrize(
    "body",
    [
        {"json": {"image_file_b64": ENCODED, "crop": True}},
        {"json": {"image_file_b64": f"data:image/jpeg;base64,{ENCODED}", "crop": True}},
        {"json": {"image_file_b64": base64.encodebytes(PHOTO).decode(), "crop": True}},
        {"data": {"image_file_b64": ENCODED, "crop": "true"}},
        {"files": {"image_file_b64": (None, ENCODED), "crop": (None, "true"), "roi": (None, "")}},
        {
            "content": f"crop=true&image_file_b64={ENCODED}",
            "headers": {"Content-Type": "application/x-www-form-urlencoded"},
        },
    ],
    ids=["json", "json-data-url", "json-in-lines", "urlencoded", "base64-as-a-part", "unescaped"],
)
def test_image_comes_in_every_usual_way(client: Removing, body: dict[str, Any]) -> None:
    answer = client.begin_by(lambda: client.client.post("/v1.0/removebg", **body))
    assert not answer.done(), answer.result().text
    job = client.job()
    client.work()

    assert (answer.result().status_code, answer.result().content) == (200, PICTURE)
    assert job["recipe"]["crop"] == "true"


@pytest.mark.parametrize(
    ("code", "stage", "fields", "told"),
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
    client: Removing, code: str, stage: StageName, fields: dict[str, str], told: tuple[int, str]
) -> None:
    answer = client.begin(**fields)
    client.fail(code, stage)

    assert code_of(answer.result()) == told
    assert ("Retry-After" in answer.result().headers) is (told[0] == 503)


def test_background_file_that_cannot_be_read_is_an_unreadable_image(client: Removing) -> None:
    files = {"image_file": ("p", PHOTO), "bg_image_file": ("b", a_photo("PNG"))}
    answer = client.begin_by(lambda: client.client.post("/v1.0/removebg", files=files))
    client.fail("image_unreadable", StageName.COMPOSITE)

    assert code_of(answer.result()) == (400, "failed_to_read_image")


@pytest.mark.parametrize(
    ("fields", "work", "code"),
    [
        ({"type": "car"}, {"people": None}, "unknown_foreground"),
        # It exceeds the photo only once that is turned upright.
        ({"roi": "0px 0px 500px 700px"}, {"prepared": PREPARED}, "roi_exceeds_bounds"),
    ],
    ids=["no-person-in-the-cutout", "region-exceeds-the-turned-photo"],
)
def test_job_that_succeeds_may_still_be_an_error_of_theirs(
    client: Removing, fields: dict[str, str], work: dict[str, Any], code: str
) -> None:
    answer = client.begin(**fields)
    client.work(**work)

    assert code_of(answer.result()) == (400, code)


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_job_that_is_canceled_or_deleted_meanwhile_is_unavailable(
    client: Removing, method: str
) -> None:
    answer = client.begin()
    path = f"/v1/jobs/{client.job()['id']}" + ("/cancel" if method == "POST" else "")
    client.api.client.request(method, path)

    assert code_of(answer.result()) == (503, "unavailable")


REFUSED = [
    pytest.param({}, "missing_source", id="nothing"),
    pytest.param({"image_file": b""}, "missing_source", id="empty-file"),
    pytest.param({"image_file": PHOTO, "image_url": "https://a.example"}, "multiple_sources"),
    pytest.param({"image_file": PHOTO, "image_file_b64": "/9j/"}, "multiple_sources", id="both"),
    pytest.param({"image_url": "file:///etc/passwd"}, "invalid_image_url", id="no-web-address"),
    pytest.param({"image_file_b64": "not base64!"}, "failed_to_read_image", id="no-base64"),
    pytest.param({"image_file": b"GIF89a" + bytes(40)}, "invalid_file_type", id="gif"),
    pytest.param({"image_file": a_photo()[:10]}, "invalid_dimensions", id="no-size"),
    pytest.param({"image_file": a_photo() + bytes(40_000_000)}, "file_too_large", id="40-MB"),
    pytest.param(
        {"image_file": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\1\0\0\0\1\0\0"}, "resolution_too_high"
    ),
    pytest.param({"image_file": PHOTO, "roi": "0px 0px 9999px 9px"}, "roi_exceeds_bounds"),
    pytest.param({"image_file": PHOTO, "roi": "9px 0px 9px 9px"}, "roi_region_empty"),
    pytest.param(
        {"image_file": PHOTO, "bg_image_file": PHOTO, "bg_color": "red"}, "multiple_bg_sources"
    ),
    pytest.param({"image_file": PHOTO, "bg_image_file": b"text"}, "invalid_file_type", id="no-bg"),
]


@pytest.mark.parametrize(("parts", "code"), REFUSED)
def test_bad_request_is_refused_before_there_is_a_job(
    client: Removing, parts: dict[str, str | bytes], code: str
) -> None:
    files = {
        name: (None if isinstance(value, str) else "a.jpg", value) for name, value in parts.items()
    }

    answer = client.client.post("/v1.0/removebg", files=files or {"size": (None, "auto")})

    assert code_of(answer) == (400, code)
    assert answer.headers["X-RateLimit-Limit"] == "6000"
    assert client.api.leftovers() == {}


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"{", "application/json"),
        (b'{"image_url":["a"]}', "application/json"),
        (b"image_url=a&image_url=b", "application/x-www-form-urlencoded"),
        (b"image_url=%ff", "application/x-www-form-urlencoded"),
        (b"&".join(b"a%d=1" % n for n in range(200)), "application/x-www-form-urlencoded"),
        (b"--cut\r\n", "multipart/form-data; boundary=cut"),
        (b"a photo", "image/jpeg"),
        (b"", ""),
    ],
)
def test_body_that_cannot_be_read_is_malformed(client: Removing, content: bytes, kind: str) -> None:
    answer = client.client.post(
        "/v1.0/removebg", content=content, headers={"Content-Type": kind} if kind else {}
    )

    assert code_of(answer) == (400, "malformed_request")


@pytest.mark.parametrize("path", ["/v1.0/removebg", "/v1.0/account", "/v1.0/improve"])
@pytest.mark.parametrize("headers", [{}, {"X-Api-Key": "sf_live_wrong"}])
def test_unknown_key_is_answered_literally(api: Api, path: str, headers: dict[str, str]) -> None:
    method = "GET" if path.endswith("account") else "POST"

    answer = httpx.request(method, api.url + path, headers=headers)

    assert (answer.status_code, answer.content) == (403, NO_KEY)
    assert "X-RateLimit-Limit" not in answer.headers


def test_refusal_waits_for_the_whole_body(api: Api) -> None:
    url = urlsplit(api.url)
    head = (
        f"POST /v1.0/removebg HTTP/1.1\r\nHost: {url.netloc}\r\nContent-Length: 300000\r\n"
        "Content-Type: multipart/form-data; boundary=cut\r\nConnection: close\r\n\r\n"
    )
    with socket.create_connection((url.hostname or "", url.port or 0), timeout=20) as connection:
        connection.sendall(head.encode() + bytes(100_000))
        connection.setblocking(False)
        with pytest.raises(BlockingIOError):
            connection.recv(1)
        connection.settimeout(20)
        connection.sendall(bytes(200_000))
        answer = connection.recv(100_000)

    assert answer.startswith(b"HTTP/1.1 403")


@pytest.mark.parametrize("kind", ["may not submit", "of a device"])
def test_key_that_may_not_cut_out_is_refused(api: Api, kind: str) -> None:
    key = api.key(Scope.READ)
    if kind == "of a device":
        key = api.client.post("/v1/tokens", json={"scopes": ["submit"]}).json()["key"]

    answer = httpx.post(
        f"{api.url}/v1.0/removebg", headers={"X-Api-Key": key}, files={"image_file": PHOTO}
    )

    assert code_of(answer) == (403, "auth_failed")


def test_too_many_requests_are_refused_with_the_time_to_wait(client: Removing) -> None:
    client.api.limit(requests_per_minute=1)

    answers = [client.client.get("/v1.0/account") for _ in range(3)]

    assert code_of(answers[-1]) == (429, "rate_limit_exceeded")
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 60
    assert answers[-1].headers["X-RateLimit-Remaining"] == "0"
    assert "Retry-After" not in answers[0].headers


def test_full_queue_is_refused(client: Removing) -> None:
    client.api.limit(jobs_waiting=1)
    client.api.submit(background="keep")

    answer = client.post()

    assert code_of(answer) == (429, "rate_limit_exceeded")
    assert "Retry-After" in answer.headers


def test_credits_are_megapixels_of_today(client: Removing) -> None:
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
def test_path_or_method_that_does_not_exist_is_an_error_in_their_envelope(
    client: Removing, method: str, path: str, said: tuple[int, str], allow: str | None
) -> None:
    answer = client.client.request(method, path)

    assert code_of(answer) == said
    assert answer.headers.get("Allow") == allow
