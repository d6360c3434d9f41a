"""A live worker in its own process, and clients of it."""

import datetime as dt
import json
import os
import signal
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import httpx
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

from smart_filter_deploy.cli.server import program
from smart_filter_deploy.embedded.addresses import LOOPBACK, free_port
from smart_filter_shared.ids import Tenant
from smart_filter_shared.live import LIFETIME_SECONDS, Tokens
from smart_filter_tests.outages import wait_until
from smart_filter_tests.patience import PATIENCE_SECONDS
from smart_filter_workers import images
from smart_filter_workers.live import frames
from smart_filter_workers.live.messages import SUBPROTOCOL
from smart_filter_workers.results import Srgb8

SECRET = "l" * 32
_NUMBER = struct.Struct(">I")

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    said: Json
    srgb: Srgb8


def offer(token: str) -> list[Subprotocol]:
    """Return what a client offers in the handshake."""
    return [Subprotocol(SUBPROTOCOL), Subprotocol(token)]


@dataclass(slots=True)
class Viewer:
    socket: ClientConnection
    said: list[Json] = field(default_factory=list)

    def show(self, number: int, content: bytes) -> None:
        self.socket.send(_NUMBER.pack(number) + content)

    def tell(self, **message: object) -> None:
        self.socket.send(json.dumps(message))

    def hear(self) -> Json:
        message = self.socket.recv(timeout=PATIENCE_SECONDS)
        assert isinstance(message, str)
        said: Json = json.loads(message)
        return said

    def see(self) -> Answer:
        """Return the next frame; note messages that come before it."""
        while (said := self.hear())["type"] != "frame":
            self.said.append(said)
        content = self.socket.recv(timeout=PATIENCE_SECONDS)
        assert isinstance(content, bytes)
        assert _NUMBER.unpack_from(content)[0] == said["frame"]
        return Answer(said, frames.decode_frame(content[_NUMBER.size :], images))

    def closing(self) -> tuple[int, str]:
        """Return the code and reason with which the connection ends."""
        try:
            while True:
                self.socket.recv(timeout=PATIENCE_SECONDS)
        except ConnectionClosed as closed:
            assert closed.rcvd is not None
            return closed.rcvd.code, closed.rcvd.reason

    def ask(self, number: int, srgb: Srgb8) -> Answer:
        """Send a frame, and return the answer to it."""
        self.show(number, frames.encode_frame(srgb))
        return self.see()


def view_frame(announced: Json, frame: Srgb8, **options: Any) -> tuple[Json, Answer]:  # noqa: ANN401
    """Return the greeting of an announced live video, and its answer to one frame.

    options: of the connection.
    """
    with connect(
        announced["url"],
        subprotocols=offer(announced["token"]),
        compression=None,
        max_size=None,
        **options,
    ) as socket:
        viewer = Viewer(socket)
        viewer.tell()
        return viewer.hear(), viewer.ask(1, frame)


@dataclass(slots=True)
class LiveWorker:
    process: subprocess.Popen[bytes]
    host: str
    operators_host: str

    def token(
        self,
        tenant: str = "ann",
        *,
        background: str | None = None,
        old: int = 0,
        origin: str | None = None,
    ) -> str:
        """Return a token whose age exceeds its lifetime by `old` seconds."""
        now = dt.datetime.now(dt.UTC)
        if old:
            now -= dt.timedelta(seconds=LIFETIME_SECONDS + old)
        tokens = Tokens([SECRET])
        return tokens.issue(Tenant(tenant), background=background, now=now, origin=origin)[0]

    @contextmanager
    def connect(
        self,
        tenant: str = "ann",
        *,
        token: str | None = None,
        origin: str | None = None,
    ) -> Iterator[Viewer]:
        """Connect with a token in the handshake, by default a new one of the tenant.

        origin: of the page, as a browser sends it.
        """
        url = f"ws://{self.host}/v1/live/socket"
        with connect(
            url,
            compression=None,
            max_size=None,
            open_timeout=PATIENCE_SECONDS,
            ping_timeout=PATIENCE_SECONDS,
            close_timeout=1,
            origin=None if origin is None else Origin(origin),
            subprotocols=offer(token or self.token(tenant)),
        ) as socket:
            yield Viewer(socket)

    @contextmanager
    def viewer(self, tenant: str = "ann", **hello: object) -> Iterator[Viewer]:
        with self.connect(tenant) as viewer:
            viewer.tell(**hello)
            assert viewer.hear()["type"] == "ready"
            yield viewer

    def get(self, path: str) -> httpx.Response:
        """Return the answer of the operators' port."""
        return httpx.get(f"http://{self.operators_host}{path}", timeout=PATIENCE_SECONDS)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_SECONDS)

    def __enter__(self) -> Self:
        """Return when it serves."""
        wait_until(self._is_ready)
        return self

    def _is_ready(self) -> bool:
        assert self.process.poll() is None, "it has ended"
        try:
            return self.get("/readyz").is_success
        except httpx.TransportError:
            return False

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()


def live_worker(weights: Path, **environment: str) -> LiveWorker:
    """Start a live worker; it serves from the beginning of the `with` block."""
    host, operators_host = (f"{LOOPBACK}:{free_port()}" for _ in range(2))
    variables = {
        "SMART_FILTER_DATA": str(weights.parent),
        "SMART_FILTER_LIVE_SECRET": SECRET,
        **environment,
    }
    command = program.command("live-worker")
    process = subprocess.Popen(
        (
            *(*command, "--port", host.rpartition(":")[2], "--threads", "2"),
            *("--operators-port", operators_host.rpartition(":")[2]),
        ),
        env={**os.environ, **variables},
    )
    return LiveWorker(process, host, operators_host)
