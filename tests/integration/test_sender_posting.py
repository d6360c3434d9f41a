"""How the sender reaches receivers: at checked addresses, in time, else with a plain reason."""

import socket
import threading
from collections.abc import Iterable, Sequence
from functools import partial

import anyio
import pytest

from smart_filter_shared.config.settings import OutboundSettings
from smart_filter_tests import web
from smart_filter_tests.web import LOOPBACK, a_site
from smart_filter_workers.sender.http_client import (
    EndpointAnswer,
    HttpClient,
    NameResolver,
    NoAnswer,
)

HOSTILE = [
    "http://169.254.169.254/latest/meta-data/",
    "http://[::ffff:127.0.0.1]/",
    "http://8.8.8.8:22/",
    "file:///etc/passwd",
    "http://local.test/",
    "http://mixed.test/",
    "http://none.test/",
]
NAMES = {
    "local.test": ["127.0.0.1"],
    "mixed.test": ["8.8.8.8", "10.0.0.1"],
    "site.test": [LOOPBACK],
}


async def look_up(host: str) -> Sequence[str]:
    if host == "away.test":
        raise OSError("no answer")
    return NAMES.get(host, [])


def post(
    url: str, *, allow: tuple[str, ...] = (LOOPBACK,), seconds: float = 60.0
) -> EndpointAnswer | NoAnswer:
    async def send() -> EndpointAnswer | NoAnswer:
        posting = HttpClient(OutboundSettings(allow=allow), resolve=look_up, seconds=seconds)
        return await posting.post(url, headers={"webhook-id": "one"}, body=b"{}")

    return anyio.run(send)


def silence(url: str, **how: float) -> str:
    came = post(url, **how)  # type: ignore[arg-type]  # seconds alone
    assert isinstance(came, NoAnswer)
    return came.why


@pytest.mark.parametrize("url", HOSTILE)
def test_only_public_addresses_are_reached(url: str) -> None:
    came = post(url, allow=())

    assert isinstance(came, NoAnswer)
    assert "public internet" in came.why or came.why.startswith("the address")


def test_body_and_headers_are_sent_to_the_requested_name() -> None:
    with a_site({"/hook?a=1": web.answer(201, b"thanks", content__length="6")}) as site:
        came = post(f"http://site.test:{site.port}/hook?a=1", allow=("site.test",))

    assert came == EndpointAnswer(201, b"thanks")
    (head,) = site.requests
    assert head.startswith(b"POST /hook?a=1 HTTP/1.1\r\n")
    assert f"Host: site.test:{site.port}\r\n".encode() in head
    assert b"webhook-id: one\r\n" in head
    assert b"uthorization" not in head
    assert b"ookie" not in head


def test_first_kilobyte_of_an_endless_answer_is_enough() -> None:
    def endless(closing: threading.Event) -> Iterable[bytes]:
        yield web.answer(200, b"")
        while not closing.is_set():
            yield b"y" * 10_000

    with a_site({"/": endless}) as site:
        assert post(f"{site.url}/") == EndpointAnswer(200, b"y" * 1024)


def test_unreachable_site_and_other_protocol_count_as_no_answer() -> None:
    with a_site({"/": b"SSH-2.0-OpenSSH\r\n\r\n"}) as site:
        assert silence(f"{site.url}/") == "it does not speak HTTP"
    with socket.create_server((LOOPBACK, 0)) as taken:
        port = taken.getsockname()[1]

    assert silence(f"http://{LOOPBACK}:{port}/") == "the connection failed or was closed"
    assert "looked up" in silence("http://away.test/")


def test_receiver_whose_head_never_ends_is_abandoned_in_time() -> None:
    def drip(closing: threading.Event) -> Iterable[bytes]:
        yield b"HTTP/1.1 200 OK\r\nX-Long: "
        while not closing.wait(0.01):
            yield b"x"

    with a_site({"/": drip}) as site:
        assert silence(f"{site.url}/", seconds=0.3) == "no answer within 0.3 s"


def test_unfinished_handshake_leaves_no_connection_open() -> None:
    # The site waits for the end of a head, or of the connection: otherwise it would never close.
    with a_site({}) as site:
        why = silence(site.url.replace("http:", "https:") + "/", seconds=0.3)

    assert why == "no answer within 0.3 s"


def test_silent_name_server_takes_no_threads() -> None:
    count = 100
    asked: set[bytes] = set()

    async def send_all(server: socket.socket) -> int:
        names = NameResolver([f"{LOOPBACK}:{server.getsockname()[1]}"])
        posting = HttpClient(OutboundSettings(), resolve=names.resolve)
        before = threading.active_count()
        async with anyio.create_task_group() as posts:
            for number in range(count):
                url = f"https://h{number}.evil.example/"
                posts.start_soon(partial(posting.post, url, headers={}, body=b"{}"))
            with anyio.fail_after(60):
                while len(asked) < count:
                    await anyio.wait_readable(server)
                    # A question's name begins after the head of 12 bytes.  Source: RFC 1035, 4.1.1.
                    asked.add(server.recv(512)[12:].lower().partition(b"\4evil")[0])
            more = threading.active_count() - before
            posts.cancel_scope.cancel()
        await names.close()
        return more

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((LOOPBACK, 0))
        # Room for all questions at once: a busy machine reads them late, and lost ones are asked
        # only once more.
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**20)
        server.setblocking(False)
        assert anyio.run(send_all, server) == 0


def test_hosts_of_this_machine_are_looked_up() -> None:
    async def resolve() -> list[Sequence[str]]:
        names = NameResolver()
        try:
            return [await names.resolve(name) for name in ("localhost", "a" * 64)]
        finally:
            await names.close()

    local, too_long = anyio.run(resolve)

    assert {*local} & {LOOPBACK, "::1"}
    assert too_long == []
