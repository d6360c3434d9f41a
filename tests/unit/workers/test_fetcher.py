import ipaddress
import itertools
import socket
import ssl

import pytest

from smart_filter_shared.config.settings import OutboundSettings
from smart_filter_shared.errors import (
    ImageTooLarge,
    PhotoUnreachable,
    PictureTemporarilyUnreachable,
    TryAgain,
)
from smart_filter_shared.security.outbound_rules import is_public
from smart_filter_tests.web import Names, Wire, answer, ok, redirect
from smart_filter_workers.fetcher import FetchedFile, Fetcher, FetchLimits
from smart_filter_workers.fetcher.ssrf_guard import SsrfGuard

PUBLIC, OTHER = "93.184.215.14", "23.215.0.136"
PUBLIC_6 = "2606:4700::6810:84e5"
ANSWERS = {
    "photos.test": [[PUBLIC]],
    "six.test": [[PUBLIC_6, PUBLIC]],
    "localhost": [["127.0.0.1"]],
    "metadata.google.internal": [["169.254.169.254"]],
    "ten.test": [["10.0.0.1"]],
    "mixed.test": [[PUBLIC, "10.0.0.1"]],
    "mixed6.test": [[PUBLIC, "::1"]],
    "odd.test": [[PUBLIC, "no address"]],
    "none.test": [[]],
    "mapped.test": [["::ffff:10.0.0.1"]],
    "local6.test": [["::1"]],
    "link.test": [["fe80::1%2"]],
}


def fetch(
    url: str, wire: Wire, names: Names | None = None, *, limits: FetchLimits | None = None
) -> FetchedFile:
    fetcher = Fetcher(
        OutboundSettings(),
        limits=limits,
        resolve=names or Names(ANSWERS),
        dial=wire,
        trusted=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
    )
    return fetcher.fetch(url)


def wired(*answers: bytes) -> Wire:
    return Wire(iter(answers))


LOOPBACK = """
    http://localhost/ http://LOCALHOST./ http://127.0.0.1/ http://127.0.0.1:6379/
    http://127.127.127.127/ http://0.0.0.0/ http://0x7f000001/ http://2130706433/
    http://017700000001/ http://127.1/ http://127.0.0.1./ http://１２７.0.0.1/
    http://127。0。0。1/ http://[::]/ http://[::1]/ http://[::127.0.0.1]/ http://local6.test/
    http://[::ffff:127.0.0.1]/ http://[::ffff:7f00:1]/ http://[64:ff9b::127.0.0.1]/
    http://[2002:7f00:1::]/
"""
PRIVATE = """
    http://10.0.0.1/ http://172.16.0.1/ http://192.168.1.1/ http://100.64.0.1/ http://198.18.0.1/
    http://224.0.0.251/ http://240.0.0.1/ http://255.255.255.255/ http://[64:ff9b:1::10.0.0.1]/
    http://[2001:0:a00:1::1]/ http://[fc00::1]/ http://[fe80::1]/ http://[fe80::1%25eth0]/
    http://[fec0::1]/ http://[ff02::1]/ http://[2001:db8::1]/ http://[64:ff9b::8.8.8.8]/
    http://ten.test/ http://mixed.test/ http://mapped.test/ http://link.test/ http://absent.test/
    http://mixed6.test/ http://odd.test/ http://none.test/
"""
METADATA_OF_CLOUDS = """
    http://100.100.100.200/latest/meta-data/ http://169.254.170.2/v2/credentials
    http://169.254.169.254/latest/meta-data/iam/security-credentials/
    http://168.63.129.16/machine?comp=goalstate http://192.0.0.192/opc/v1/instance/
    http://2852039166/latest/meta-data/ http://0xa9fea9fe/ http://169.16689662/
    http://metadata.google.internal/computeMetadata/v1/ http://[::ffff:169.254.169.254]/
    http://[0:0:0:0:0:ffff:a9fe:a9fe]/ http://[fd00:ec2::254]/latest/meta-data/
"""
OTHER_PORT_USER_OR_SCHEME = r"""
    http://photos.test:22/ http://photos.test:25/ http://photos.test:5432/ http://photos.test:6379/
    http://photos.test:0/ https://photos.test:8444/ http://photos.test@127.0.0.1/
    http://93.184.215.14:6379/ http://photos.test:9000/ http://photos.test:27017/
    http://127.0.0.1@photos.test/ http://user:secret@photos.test/ http://photos.test\@127.0.0.1/
    http://photos.test%00.test/ http://photos.test%2f@127.0.0.1/ file:///etc/passwd
    file://photos.test/etc/passwd ftp://photos.test/a gopher://photos.test/_x
    unix:///run/docker.sock data:image/png;base64,AAAA photos.test
"""


@pytest.mark.parametrize(
    "url",
    [
        *(LOOPBACK + PRIVATE + METADATA_OF_CLOUDS + OTHER_PORT_USER_OR_SCHEME).split(),
        "http://photos.test/\r\nX: y",
        "",
    ],
)
def test_hostile_address_is_refused_without_a_connection(url: str) -> None:
    wire = wired()

    with pytest.raises(PhotoUnreachable) as refusal:
        fetch(url, wire)

    assert wire.dialled == []
    secrets = ("secret", "127.", "10.0", "169.254", "fd00", "internal")
    assert not any(secret in str(refusal.value) for secret in secrets)


def test_private_name_is_refused_like_an_unknown_name() -> None:
    messages = set()
    for url in ("http://ten.test/", "http://absent.test/", "http://10.0.0.1/"):
        with pytest.raises(PhotoUnreachable) as refusal:
            fetch(url, wired())
        messages.add(str(refusal.value))

    assert len(messages) == 1


def test_connection_uses_the_checked_address() -> None:
    # A second look-up would be answered with the loopback.
    names, wire = Names({"photos.test": [[PUBLIC], ["127.0.0.1"]]}), wired(ok(b"a picture"))

    fetched = fetch("http://photos.test/a.jpg?b=c", wire, names)

    assert fetched.content == b"a picture"
    assert wire.dialled == [(PUBLIC, 80)]
    assert names.asked == ["photos.test"]


def test_name_that_becomes_private_between_two_hops_is_refused() -> None:
    names = Names({"photos.test": [[PUBLIC], ["127.0.0.1"]]})
    wire = wired(redirect("http://photos.test/b"), ok(b"a secret"))

    with pytest.raises(PhotoUnreachable, match="on redirect 1"):
        fetch("http://photos.test/a", wire, names)

    assert wire.dialled == [(PUBLIC, 80)]


def test_request_names_the_host_and_reveals_nothing_else() -> None:
    wire = wired(ok(b"a picture"))

    fetch("http://photos.test:8080/a.jpg?b=c", wire)

    assert wire.dialled == [(PUBLIC, 8080)]
    line, *headers = b"".join(wire.sent).decode().strip().split("\r\n")
    assert line == "GET /a.jpg?b=c HTTP/1.1"
    assert dict(header.lower().split(": ", 1) for header in headers) == {
        "host": "photos.test:8080",
        "user-agent": "smart-filter",
        "accept": "image/jpeg, image/png, image/webp, image/avif;q=0.9, */*;q=0.1",
        "accept-encoding": "identity",
        "connection": "close",
    }


def test_proxy_variables_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://10.0.0.1:3128")
    wire = wired(ok(b"a picture"))

    fetch("http://photos.test/", wire)

    assert wire.dialled == [(PUBLIC, 80)]


def test_unreachable_address_is_followed_by_the_next_of_its_name() -> None:
    wire = Wire(down=frozenset({PUBLIC_6}))

    fetch("http://six.test/", wire)

    assert wire.dialled == [(PUBLIC_6, 80), (PUBLIC, 80)]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_is_followed_to_another_host(status: int) -> None:
    names = Names({**ANSWERS, "other.test": [[OTHER]]})
    wire = wired(redirect("//other.test/b", status), ok(b"a picture"))

    fetched = fetch("http://photos.test/a", wire, names)

    assert fetched.content == b"a picture"
    assert wire.dialled == [(PUBLIC, 80), (OTHER, 80)]
    assert wire.sent[-1].startswith(b"GET /b ")


FORBIDDEN = """
    http://127.0.0.1/ http://169.254.169.254/latest/meta-data/ http://ten.test/
    http://[::ffff:10.0.0.1]/ http://photos.test:6379/ //0x7f.1/ file:///etc/passwd
    gopher://127.0.0.1:6379/_FLUSHALL http://user:secret@photos.test/ data:image/png;base64,AAAA
    http://secret\xff/ //[secret]/
"""


@pytest.mark.parametrize("location", FORBIDDEN.split())
def test_redirect_to_a_forbidden_address_is_refused(location: str) -> None:
    wire = wired(redirect(location))

    with pytest.raises(PhotoUnreachable) as refusal:
        fetch("http://photos.test/a", wire)

    assert wire.dialled == [(PUBLIC, 80)]
    secrets = ("127.", "169.", "ten.test", "secret")
    assert not any(secret in str(refusal.value) for secret in secrets)


def test_five_redirects_are_followed_and_no_more() -> None:
    five = wired(*[redirect(f"/{hop}") for hop in range(5)], ok(b"a picture"))
    loop = Wire(itertools.repeat(redirect("/a")))

    assert fetch("http://photos.test/a", five).content == b"a picture"
    with pytest.raises(PhotoUnreachable, match="more than 5 times"):
        fetch("http://photos.test/a", loop)
    assert len(loop.dialled) == 6


FINAL = (201, 204, 206, 300, 304, 400, 401, 403, 404, 410, 451)
PASSING = (408, 425, 429, 500, 502, 503, 504)


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [
        (302, PhotoUnreachable, "redirects without a location"),
        *((status, PhotoUnreachable, f"answers {status}") for status in FINAL),
        *((status, PictureTemporarilyUnreachable, f"answers {status}") for status in PASSING),
    ],
)
def test_answer_without_the_file_is_permanent_or_temporary(
    status: int, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        fetch("http://photos.test/a", wired(answer(status, content__length="0")))


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"no HTTP at all\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\ntoo short",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000 + b"\r\n\r\n",
        b"HTTP/1.1 103 Early\r\n\r\n" * 3,
    ],
)
def test_truncated_or_malformed_answer_is_refused(said: bytes) -> None:
    with pytest.raises(PictureTemporarilyUnreachable):
        fetch("http://photos.test/a", wired(said))


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate", "zstd", "identity, gzip", "GZIP"])
def test_compressed_answer_is_refused(coding: str) -> None:
    with pytest.raises(PhotoUnreachable, match="compresses"):
        fetch("http://photos.test/a", wired(ok(b"\x1f\x8b", content__encoding=coding)))


CHUNKED = answer(200, b"3e9\r\n" + b"x" * 1001 + b"\r\n0\r\n\r\n", transfer__encoding="chunked")


@pytest.mark.parametrize(
    ("said", "error", "words"),
    [
        # Nothing follows the head: a client that reads on finds that the answer was cut short.
        (answer(200, content__length="1000"), TryAgain, None),
        (answer(200, content__length="1001"), ImageTooLarge, None),
        (answer(200, b"x" * 1001), ImageTooLarge, "more than 1000 bytes"),
        (CHUNKED, ImageTooLarge, "more than 1000 bytes"),
    ],
    ids=["length at the limit", "length above it", "no length", "chunked"],
)
def test_content_above_the_limit_is_refused(
    said: bytes, error: type[Exception], words: str | None
) -> None:
    limits = FetchLimits(most_bytes=1000)

    with pytest.raises(error, match=words):
        fetch("http://photos.test/a", wired(said), limits=limits)
    assert len(fetch("http://photos.test/", wired(ok(b"x" * 1000)), limits=limits).content) == 1000


def allowed(host: str, names: Names, *, port: int = 443, allow: tuple[str, ...] = ()) -> list[str]:
    guard = SsrfGuard(OutboundSettings(allow=allow), names)
    return [str(address) for address in guard.addresses(host, port, seconds=5)]


# With the metadata services of Alibaba, Azure, most clouds, AWS (containers) and Oracle.
NOT_PUBLIC = """
    0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.100.100.200 100.127.255.255 127.0.0.1
    127.255.255.254 168.63.129.16 169.254.0.1 169.254.169.254 169.254.170.2 172.16.0.1
    172.31.255.255 192.0.0.8 192.0.0.192 192.0.2.1 192.88.99.1 192.168.0.1 198.18.0.1
    198.19.255.255 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255
"""
# With Teredo (2001:0::/32), 6to4 (2002::/16) and the metadata service of AWS (fd00:ec2::254).
NOT_PUBLIC_6 = """
    :: ::1 ::127.0.0.1 ::8.8.8.8 ::ffff:127.0.0.1 ::ffff:8.8.8.8 ::ffff:0:127.0.0.1
    64:ff9b::7f00:1 64:ff9b::808:808 64:ff9b:1::a00:1 100::1 2001::1 2001:0:7f00:1::1 2001:2::1
    2001:10::1 2001:db8::1 2002:7f00:1:: 2002:808:808::1 3fff::1 4000::1 5f00::1 fc00::1
    fd00:ec2::254 fe80::1 fe80::1%eth0 fec0::1 ff02::1 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff
"""
# The first and last addresses next to those.
PUBLIC_ADDRESSES = """
    1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0
    169.253.255.255 172.15.255.255 172.32.0.0 192.0.1.1 192.169.0.0 198.17.255.255 198.20.0.0
    223.255.255.255 2001:4860:4860::8888 2606:4700::6810:84e5 2a00:1450:4001::1
"""


@pytest.mark.parametrize("text", (NOT_PUBLIC + NOT_PUBLIC_6).split())
def test_address_in_a_reserved_range_is_not_public(text: str) -> None:
    assert not is_public(ipaddress.ip_address(text))


@pytest.mark.parametrize("text", PUBLIC_ADDRESSES.split())
def test_address_next_to_the_ranges_is_public(text: str) -> None:
    assert is_public(ipaddress.ip_address(text))


@pytest.mark.parametrize(
    ("allow", "host", "goes_to"),
    [
        (("127.0.0.1",), "127.0.0.1", ["127.0.0.1"]),
        (("127.0.0.0/8",), "127.1.2.3", ["127.1.2.3"]),
        (("::1",), "::1", ["::1"]),
        (("127.0.0.1",), "local.test", ["127.0.0.1"]),
        (("::1", "127.0.0.1"), "local.test", ["::1", "127.0.0.1"]),
        (("local.test",), "local.test", ["::1", "127.0.0.1"]),
        (("LOCAL.test.",), "local.test", ["::1", "127.0.0.1"]),
        (("10.0.0.0/8",), "trick.test", ["10.0.0.1"]),
        (("127.0.0.2",), "local.test", []),
        (("other.test",), "local.test", []),
        (("test",), "local.test", []),
        (("10.0.0.0/8",), "169.254.169.254", []),
        (("127.0.0.0/8",), "::ffff:127.0.0.1", []),
    ],
)
def test_operator_allows_hosts_and_networks_on_any_port(
    allow: tuple[str, ...], host: str, goes_to: list[str]
) -> None:
    answers = {"local.test": [["::1", "127.0.0.1"]], "trick.test": [["10.0.0.1", "127.0.0.1"]]}

    assert allowed(host, Names(answers), port=9000, allow=allow) == goes_to


def test_unanswered_name_look_up_can_be_retried() -> None:
    names = Names({"photos.test": [socket.gaierror(socket.EAI_AGAIN, "try again")]})

    with pytest.raises(PictureTemporarilyUnreachable, match="looked up"):
        allowed("photos.test", names)
