"""Check that a server serves programs written for remove.bg, from the network to the picture."""

import ipaddress
import itertools
import os
import struct
import zlib
from collections.abc import Iterator
from http import HTTPStatus
from importlib import resources
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from smart_filter_deploy.cli.removebg import interface
from smart_filter_deploy.cli.removebg.interface import (
    ACCOUNT_PATH,
    Answer,
    Interface,
    RequestFailed,
)
from smart_filter_deploy.cli.server.connection import Server
from smart_filter_deploy.doctor import findings
from smart_filter_deploy.doctor.findings import Finding, Level, fail, ok, warn

# remove.bg's limits.  Source: remove.bg, API documentation, "Rate limit" and "File upload limits".
_REQUESTS_PER_MINUTE: Final = 500
_MAX_BYTES: Final = 22_000_000
# Just below 50 megapixels, and divisible by 8.
_LIMIT_SIDES_PX: Final = (7072, 7070)
# Clients of remove.bg time out after 20 s; a server that needs half of it on a small photo fails
# under load.
_SLOW_SECONDS: Final = 10.0
# A cutout of a portrait has a part of the photo; a box around all of it shows that nothing was cut.
_MAX_BOX_SHARE: Final = 0.99
_PNG: Final = b"\x89PNG\r\n\x1a\n"
# Color types of PNG with an alpha channel.
_ALPHA_TYPES: Final = frozenset({4, 6})
_BOX_HEADERS: Final = tuple(f"X-Foreground-{side}" for side in "Left Top Width Height".split())
_HEADERS: Final = (
    *("X-Type", "X-Width", "X-Height", "X-Max-Width", "X-Max-Height", "X-Credits-Charged"),
    *("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"),
    *_BOX_HEADERS,
)
# Findings without which no later check can succeed.
_NEEDED: Final = frozenset({"server", "key"})
_NEW_KEY: Final = "make one: smart-filter keys create --tenant removebg --scopes submit"
_PRESET: Final = "smart-filter tenants set TENANT --preset removebg"
_RESEARCH: Final = "SMART_FILTER_RESEARCH_WEIGHTS"
# As on the cards of both models.
_ISNET_TERMS: Final = "weights MIT; commercial use: ask the authors of its data, DIS5K"
_U2NETP_TERMS: Final = "weights Apache-2.0; its data, DUTS-TR, states no license"


def run_checks(server: Server, *, ca: Path | None) -> Iterator[Finding]:
    """Yield the finding of each check, without the key; later checks need the earlier ones.

    ca: certificate authority to trust besides the public ones.
    Raises CommandError when URL, key or file cannot be used.
    """
    yield from findings.redact(_run(server, ca), {server.api_key})


def _run(server: Server, ca: Path | None) -> Iterator[Finding]:
    checks = (
        ("server", check_server),
        ("key", check_key),
        ("size limits", check_size_limits),
        ("people", check_person),
        ("things", check_thing),
    )
    with interface.open_interface(server.url, server.api_key, ca=ca) as api:
        for what, check in checks:
            findings = []
            try:
                for finding in check(api, server):
                    findings.append(finding)
                    yield finding
            except RequestFailed as error:
                findings.append(fail(what, f"no answer ({error})", "run the check again"))
                yield findings[-1]
            if any(past.level == Level.FAIL and past.what in _NEEDED for past in findings):
                return


def check_server(api: Interface, server: Server) -> Iterator[Finding]:
    """Check that a Smart Filter server answers at the URL, and that the key is not sent openly."""
    what = "server"
    try:
        answer = api.get("/livez")
    except RequestFailed as error:
        yield fail(what, f"{server.url} is not reachable ({error})", _remedy_for_connection(error))
        return
    document = answer.document()
    if "location" in answer.headers:
        fix = "give programs that address; they do not follow redirects of a POST"
        yield fail(what, f"{server.url} redirects to {answer.headers['location']}", fix)
    elif answer.status != HTTPStatus.OK or not isinstance(document, dict):
        fix = "give the base URL of a Smart Filter server, without /v1.0"
        yield fail(what, f"{server.url} answers {answer.status}, not as Smart Filter does", fix)
    else:
        yield ok(what, f"{server.url} answers")
    url = urlsplit(server.url)
    if url.scheme == "http" and not _is_loopback(url.hostname or ""):
        fix = "put https in front (docs/deploying.md)"
        yield warn("encryption", "keys and photos travel without encryption", fix)


def check_key(api: Interface, server: Server) -> Iterator[Finding]:
    """Check the key, its credits, its rate limit, and that it cannot do more than needed."""
    what = "key"
    if not server.api_key:
        yield fail(what, "no key is given", f"--key K or SMART_FILTER_API_KEY; {_NEW_KEY}")
        return
    answer = api.get(ACCOUNT_PATH)
    if answer.status == HTTPStatus.FORBIDDEN:
        yield fail(what, "the key is unknown, expired or revoked", _NEW_KEY)
        return
    total = _total_credits(answer)
    if total is None:
        text = "; ".join(said for _, said in answer.errors())
        fix = "see the server's log, and that of a proxy in front"
        yield fail(what, f"{ACCOUNT_PATH} answers {answer.status} ({text})", fix)
        return
    yield from _check_scopes(api, server)
    if total <= 0:
        fix = "smart-filter tenants set TENANT --megapixels-per-day 0"
        yield fail("credits", "today's megapixels are spent", fix)
    else:
        yield ok("credits", f"{total:,.0f} left today")
    limit = _integer(answer, "X-RateLimit-Limit")
    if limit is None:
        yield fail("rate limit", "the header X-RateLimit-Limit is missing", "update the server")
    elif limit < _REQUESTS_PER_MINUTE:
        said = f"{limit} requests a minute; remove.bg has {_REQUESTS_PER_MINUTE}"
        yield warn("rate limit", said, _PRESET)
    else:
        yield ok("rate limit", f"{limit:,} requests a minute")


def check_size_limits(api: Interface, server: Server) -> Iterator[Finding]:
    """Check that 22 MB and 50 megapixels arrive: a request that is refused for another reason."""
    del server
    what = "size limits"
    try:
        answer = api.cut_out(_largest_photo(), "limits.png", size="none-of-theirs")
    except RequestFailed as error:
        yield fail(what, f"22 MB do not arrive ({error})", _remedy_for_upload())
        return
    codes = {code for code, _ in answer.errors()}
    if "invalid_size" in codes:
        yield ok(what, "22 MB and 50 megapixels arrive")
    elif answer.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE or "file_too_large" in codes:
        yield fail(what, "22 MB are refused", _remedy_for_upload())
    elif "resolution_too_high" in codes:
        yield fail(what, "50 megapixels are refused", "update the server")
    else:
        yield _refused(what, answer)


def check_person(api: Interface, server: Server) -> Iterator[Finding]:
    """Check that a photo of a person is cut out, with all headers."""
    del server
    what = "people"
    answer = _cut_out(api, "person.jpg", size="full", format="png")
    if answer.status != HTTPStatus.OK:
        yield _refused(what, answer)
        return
    faults = list(_faults_of_cutout(answer))
    if faults:
        yield fail(what, "; ".join(faults), "update server and workers; see the job in the studio")
    elif answer.seconds > _SLOW_SECONDS:
        fix = "add workers: clients time out after 20 s (docs/capacity.md)"
        yield warn(what, f"a portrait took {answer.seconds:.1f} s", fix)
    else:
        yield ok(what, f"a portrait is cut out in {answer.seconds:.1f} s, with all headers")


def check_thing(api: Interface, server: Server) -> Iterator[Finding]:
    """Check that a photo without people is cut out, also if the request does not name its type."""
    del server
    what = "things"
    answer = _cut_out(api, "thing.jpg", size="full", type="product")
    if answer.status == HTTPStatus.OK and answer.headers.get("X-Type") != "person":
        untyped = _cut_out(api, "thing.jpg", size="full")
        if untyped.status == HTTPStatus.OK:
            yield ok(what, f"a mug is cut out in {untyped.seconds:.1f} s by isnet ({_ISNET_TERMS})")
            return
        said = f"a mug is cut out in {answer.seconds:.1f} s by u2netp ({_U2NETP_TERMS}), but only"
        yield warn(what, f"{said} if `type` names what it is", _remedy_for_thing(untyped))
    elif answer.status == HTTPStatus.OK or "unknown_foreground" in dict(answer.errors()):
        yield warn(what, "photos without people are not cut out", _remedy_for_thing(answer))
    else:
        yield _refused(what, answer)


def _check_scopes(api: Interface, server: Server) -> Iterator[Finding]:
    """Warn of a key that may manage other keys; a program only needs `submit`."""
    manages = api.get("/v1/keys?limit=1", bearer=server.api_key)
    if manages.status == HTTPStatus.OK:
        said = "the key is valid, and may manage keys and settings"
        yield warn("key", said, f"give programs one that only submits; {_NEW_KEY}")
    else:
        yield ok("key", "the key is valid")


def _cut_out(api: Interface, name: str, **fields: str) -> Answer:
    """Send a packaged photo; once more after a 503, since a first photo may wait for a model."""
    photo = _photo(name)
    answer = api.cut_out(photo, name, **fields)
    if answer.status == HTTPStatus.SERVICE_UNAVAILABLE:
        return api.cut_out(photo, name, **fields)
    return answer


def _faults_of_cutout(answer: Answer) -> Iterator[str]:
    """Yield what is wrong with the answer for the portrait."""
    missing = [name for name in _HEADERS if name not in answer.headers]
    if missing:
        yield f"missing headers: {', '.join(missing)}"
        return
    header = answer.content[:26]
    if not header.startswith(_PNG) or len(header) < 26:  # noqa: PLR2004 - up to the color type
        yield "the picture is not a PNG"
        return
    # Source: PNG, third edition, 11.2.1: width, height, bit depth and color type.
    width, height, _, color = struct.unpack(">IIBB", header[16:26])
    if color not in _ALPHA_TYPES:
        yield "the picture has no transparency"
    if (width, height) != (_integer(answer, "X-Width"), _integer(answer, "X-Height")):
        yield "X-Width and X-Height differ from the picture"
    if answer.headers["X-Type"] != "person":
        yield "the person was not recognized (X-Type)"
    left, top, box_width, box_height = (_integer(answer, name) or 0 for name in _BOX_HEADERS)
    share = box_width * box_height / (width * height or 1)
    if not (
        0 < share < _MAX_BOX_SHARE and left + box_width <= width and top + box_height <= height
    ):
        yield "the box of the foreground (X-Foreground-…) does not fit"


def _refused(what: str, answer: Answer) -> Finding:
    """Return the finding of a photo that was not cut out."""
    errors = answer.errors()
    text = "; ".join(f"{code}: {said}" if code else said for code, said in errors)
    code = errors[0][0]
    fixes = {
        "auth_failed": f"the key lacks the scope submit; {_NEW_KEY}",
        "insufficient_credits": "smart-filter tenants set TENANT --megapixels-per-day 0",
        "rate_limit_exceeded": f"wait a minute, or {_PRESET}",
        "timeout": "start more workers, or raise SMART_FILTER_REMOVEBG_SECONDS (docs/settings.md)",
        "unavailable": "start a worker: smart-filter worker, or see `smart-filter doctor`",
        "unknown_foreground": "see `smart-filter models list` on the server",
    }
    if not code:
        fix = "a proxy answers in the server's place: see its log"
    else:
        fix = fixes.get(code, "see the server's log")
    return fail(what, f"the photo is refused ({answer.status} {text})", fix)


def _photo(name: str) -> bytes:
    """Return a packaged photo with a new comment, so that no earlier result is reused."""
    photo = (resources.files(__package__) / "photos" / name).read_bytes()
    note = os.urandom(16).hex().encode()
    # Source: ITU-T T.81, B.2.4.5: marker, length with its own two bytes, comment.
    return photo[:2] + b"\xff\xfe" + struct.pack(">H", len(note) + 2) + note + photo[2:]


def _largest_photo() -> bytes:
    """Return a white PNG of remove.bg's largest size in pixels, padded to that in bytes."""
    width, height = _LIMIT_SIDES_PX
    # One bit per pixel: the rows compress to a few kilobytes.
    row = b"\0" + b"\xff" * (width // 8)
    packer = zlib.compressobj()
    rows = b"".join(map(packer.compress, itertools.repeat(row, height))) + packer.flush()
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    photo = _PNG + _chunk(b"IHDR", head) + _chunk(b"IDAT", rows)
    end = _chunk(b"IEND", b"")
    # A private chunk, which every decoder skips; 12 bytes are its frame.
    padding = _chunk(b"paDd", bytes(_MAX_BYTES - len(photo) - len(end) - 12))
    return photo + padding + end


def _chunk(name: bytes, content: bytes) -> bytes:
    """Return a chunk of a PNG.  Source: PNG, third edition, 5.3."""
    checked = name + content
    return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))


def _total_credits(answer: Answer) -> float | None:
    """Return the credits of an account's answer; None if it is not one."""
    document = answer.document()
    for name in ("data", "attributes", "credits", "total"):
        document = document.get(name) if isinstance(document, dict) else None
    return float(document) if isinstance(document, int | float) else None


def _integer(answer: Answer, name: str) -> int | None:
    text = answer.headers.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else None  # noqa: PLR2004 - no count has more


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _remedy_for_connection(error: RequestFailed) -> str:
    text = str(error).lower()
    if "certificate" in text:
        return "trust its authority with --ca FILE, or correct the certificate"
    if "name or service" in text or "resolve" in text or "nodename" in text:
        return "correct the host name, or add it to DNS or /etc/hosts"
    return "start it (`smart-filter up`, docs/deploying.md), or correct SMART_FILTER_URL"


def _remedy_for_thing(answer: Answer) -> str:
    pull = f"run `smart-filter models pull isnet` on the server ({_ISNET_TERMS})"
    # The error names what keeps the model from running.
    if _RESEARCH not in dict(answer.errors()).get("unknown_foreground", ""):
        return pull
    return (
        f"{_RESEARCH} is off there, which turns off isnet, the model for them: if its terms"
        " (docs/models/isnet.md) and those of the other models (docs/models.md) allow your use,"
        f" set it to on; then {pull}"
    )


def _remedy_for_upload() -> str:
    return "raise the limit of the proxy in front, in nginx client_max_body_size 41m"
