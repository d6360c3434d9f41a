"""`smart-filter removebg check` with servers and proxies that are set up wrongly."""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from PIL import Image

from smart_filter_tests import http_server
from smart_filter_tests.commands import Command
from smart_filter_tests.http_server import ReceivedRequest, Reply
from smart_filter_tests.pictures import encode, plain
from smart_filter_tests.web import Answer, a_site, answer, ok, redirect

KEY = "sf_live_a-key-of-the-test"
READY = ok(b'{"status":"ok","degraded":[]}')


ACCOUNT = {"data": {"attributes": {"credits": {"total": 40}, "api": {"free_calls": 50}}}}
# Of a cutout of 64×48 pixels whose left quarter is transparent.
HEADERS = {
    "X-Credits-Charged": "0.25",
    "X-Type": "person",
    "X-Width": "64",
    "X-Height": "48",
    "X-Max-Width": "64",
    "X-Max-Height": "48",
    "X-Foreground-Left": "16",
    "X-Foreground-Top": "0",
    "X-Foreground-Width": "48",
    "X-Foreground-Height": "48",
    "X-RateLimit-Limit": "500",
    "X-RateLimit-Remaining": "499",
    "X-RateLimit-Reset": "1",
}


def a_cutout(left: int, width: int = 64) -> bytes:
    """Return a PNG that keeps the columns from `left` on."""
    rgba = np.full((48, width, 4), (200, 40, 40, 255), np.uint8)
    rgba[:, :left, 3] = 0
    return encode(Image.fromarray(rgba), "PNG")


@dataclass(slots=True)
class Service:
    """A service with the interface of remove.bg: what it answers, and the photos that it got.

    failures: statuses of the first answers; 0 closes the connection instead.
    """

    url: str = ""
    content: bytes = field(default_factory=lambda: a_cutout(16))
    headers: dict[str, str] = field(default_factory=lambda: dict(HEADERS))
    failures: list[int] = field(default_factory=list)
    photos: list[bytes] = field(default_factory=list)


@contextlib.contextmanager
def a_service() -> Iterator[Service]:
    service = Service()

    def answer(request: ReceivedRequest) -> Reply | None:
        kind = {"Content-Type": "application/json"}
        if request.method == "GET":
            document = {"status": "ok"} if request.path == "/livez" else ACCOUNT
            return Reply(200, json.dumps(document).encode(), {**service.headers, **kind})
        service.photos.append(request.body)
        status = service.failures.pop(0) if service.failures else 200
        if status == 200:
            kind = {"Content-Type": "image/png"}
        return Reply(status, service.content, {**service.headers, **kind}) if status else None

    with http_server.serve(answer) as service.url:
        yield service


def failures(
    local_command: Command, answers: dict[str, Answer], *, status: int = 1
) -> dict[str, Any]:
    """Check a site; return its failed findings by name."""
    with a_site(answers) as site:
        arguments = ("removebg", "check", "--url", site.url, "--key", KEY, "--json")
        written = local_command.output(*arguments)
        assert local_command.status(*arguments) == status
    assert KEY not in written
    found = json.loads(written)["findings"]
    return {one["what"]: one for one in found if one["level"] == "fail"}


def test_server_that_is_not_there_has_a_status_of_its_own(local_command: Command) -> None:
    with a_site() as site:
        url = site.url  # closed after the block

    arguments = ("removebg", "check", "--url", url, "--key", KEY)
    assert local_command.status(*arguments) == 3
    line = local_command.output(*arguments)
    assert line.startswith("fail  server")
    assert "smart-filter up" in line
    assert line.count("\n") == 1


@pytest.mark.parametrize(
    ("ready", "remedy"),
    [
        (ok(b"<html>It works!</html>"), "without /v1.0"),
        (ok(b"[" * 100_000), "without /v1.0"),
        (answer(404), "without /v1.0"),
        (redirect(f"https://elsewhere.example.com/?key={KEY}", 308), "do not follow redirects"),
        (b"no HTTP at all\r\n\r\n", "smart-filter up"),
    ],
    ids=["page", "nested", "not found", "redirect", "no HTTP"],
)
def test_other_server_is_recognized(local_command: Command, ready: bytes, remedy: str) -> None:
    failed = failures(local_command, {"/livez": ready}, status=3)

    assert set(failed) == {"server"}
    assert remedy in failed["server"]["fix"]


@pytest.mark.parametrize(
    "account", [answer(403), answer(500, b"oops"), ok(b'{"data": null}'), ok(b"\xff\xfe")]
)
def test_wrong_account_ends_the_check(local_command: Command, account: bytes) -> None:
    failed = failures(local_command, {"/livez": READY, "/v1.0/account": account})

    assert set(failed) == {"key"}


def test_spent_credits_and_low_limits_are_shown(local_command: Command) -> None:
    spent = ok(
        b'{"data": {"attributes": {"credits": {"total": 0}}}}', X__RateLimit__Limit="9" * 5000
    )

    failed = failures(local_command, {"/livez": READY, "/v1.0/account": spent})

    assert "--megapixels-per-day 0" in failed["credits"]["fix"]
    assert "rate limit" in failed


@pytest.fixture
def service() -> Iterator[Service]:
    with a_service() as service:
        yield service


def findings(local_command: Command, service: Service) -> dict[str, Any]:
    """Check a service; return its findings by name."""
    arguments = ("removebg", "check", "--url", service.url, "--key", KEY, "--json")
    return {
        finding["what"]: finding
        for finding in json.loads(local_command.output(*arguments))["findings"]
    }


def test_proxy_that_refuses_large_bodies_is_named(local_command: Command, service: Service) -> None:
    service.failures = [413]

    found = findings(local_command, service)

    assert "client_max_body_size" in found["size limits"]["fix"]
    assert found["people"]["level"] == "ok"


def test_connection_that_breaks_during_the_upload_is_named(
    local_command: Command, service: Service
) -> None:
    service.failures = [0]

    assert "client_max_body_size" in findings(local_command, service)["size limits"]["fix"]


def test_portrait_is_sent_again_while_models_are_loaded(
    local_command: Command, service: Service
) -> None:
    service.failures = [400, 503]

    found = findings(local_command, service)

    assert found["people"]["level"] == "ok"
    first, second = (body.partition(b"\xff\xd8")[2][:10_000] for body in service.photos[1:3])
    assert first == second, "identical requests share a job"
    # X-Type says that a person was found in a photo of a thing.
    assert "models pull isnet" in found["things"]["fix"]


@pytest.mark.parametrize(
    ("fault", "remedy"),
    [
        ("isnet has no weights: run `smart-filter models pull isnet`", "run `smart-filter models"),
        ("turned off by SMART_FILTER_RESEARCH_WEIGHTS", "allow your use, set it to on; then run"),
    ],
)
def test_photo_of_a_thing_that_is_refused_gets_the_remedy_that_helps(
    local_command: Command, service: Service, fault: str, remedy: str
) -> None:
    detail = f"other subjects need the model isnet: {fault}"
    error = {"code": "unknown_foreground", "title": "Could not identify", "detail": detail}
    service.content = json.dumps({"errors": [error]}).encode()
    service.failures = [400, 200, 400]

    found = findings(local_command, service)["things"]

    assert found["level"] == "warn"
    assert remedy in found["fix"]
    assert ("set it to on" in found["fix"]) == ("turned off" in fault)


@pytest.mark.parametrize(
    ("headers", "content", "fault"),
    [
        ({"X-Max-Width": None}, a_cutout(16), "missing headers: X-Max-Width"),
        ({"X-Type": "other"}, a_cutout(16), "(X-Type)"),
        ({"X-Width": "63"}, a_cutout(16), "X-Width and X-Height differ"),
        ({"X-Foreground-Left": "17"}, a_cutout(16), "does not fit"),
        ({"X-Foreground-Left": "0", "X-Foreground-Width": "64"}, a_cutout(0), "does not fit"),
        ({}, plain(64, 48, (1, 2, 3)), "no transparency"),
        ({}, b"<html>", "not a PNG"),
        ({}, b"\x89PNG\r\n\x1a\n", "not a PNG"),
    ],
)
def test_portrait_with_a_wrong_answer_fails(
    local_command: Command,
    service: Service,
    headers: dict[str, str | None],
    content: bytes,
    fault: str,
) -> None:
    changed = {**service.headers, **headers}
    service.headers = {name: value for name, value in changed.items() if value is not None}
    service.content = content

    found = findings(local_command, service)

    assert found["people"]["level"] == "fail"
    assert fault in found["people"]["said"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--url", "not a url"),
        ("--url", "ftp://x.example.com"),
        ("--url", "http://user:secret@127.0.0.1:1"),
        ("--url", "http://127.0.0.1:1", "--key", "sf_live\r\nX-Evil: 1"),
        ("--url", "http://127.0.0.1:1", "--key", "schlüssel"),
        ("--url", "http://127.0.0.1:1", "--ca", __file__),
        ("--ca", "/nonexistent"),
    ],
)
def test_wrong_options_are_wrong_usage(local_command: Command, arguments: tuple[str, ...]) -> None:
    line = local_command.usage_error("removebg", "check", *arguments)

    assert "secret" not in line
    assert "Evil" not in line


def test_missing_key_says_how_to_make_one(local_command: Command) -> None:
    with a_site({"/livez": READY}) as site:
        written = local_command.output("removebg", "check", "--url", site.url)

    assert "fail  key" in written
    assert "smart-filter keys create" in written
