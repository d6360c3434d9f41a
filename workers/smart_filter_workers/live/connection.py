"""A connection: one client's messages, and its frames one after another; only the newest waits.

A slot for one frame: a newer frame replaces the one that waits.
"""

import asyncio
import datetime as dt
import secrets
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Final

from starlette.types import Message
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from smart_filter_shared.errors import (
    MalformedRequest,
    Rejected,
    RetryAfter,
    Unauthorized,
    UnusablePhoto,
)
from smart_filter_shared.live import TokenClaims
from smart_filter_shared.recipe import Background
from smart_filter_shared.telemetry.logs import logger
from smart_filter_shared.telemetry.metrics import FrameOutcome
from smart_filter_workers.live import frames, messages, pipeline
from smart_filter_workers.live.backdrop import Backdrop
from smart_filter_workers.live.messages import AnotherToken, CloseCode, Hello
from smart_filter_workers.live.pipeline import FramePipeline, RenderedFrame
from smart_filter_workers.live.session_registry import SessionRegistry
from smart_filter_workers.live.shutter import Shutter, summarize_frame
from smart_filter_workers.results import Srgb8

# After a longer pause, smoothing forgets all earlier frames.
_MAX_STEP_SECONDS: Final = 10.0
# Limit of a close reason.  Source: RFC 6455, 5.5: a control frame holds 125 bytes, the code 2.
_REASON_BYTES: Final = 123
_SEEDS: Final = 2**53

_log = logger("live")


class _CloseConnection(Exception):
    """Ends the connection with a code and a reason."""

    def __init__(self, code: CloseCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


async def serve(websocket: WebSocket, registry: SessionRegistry) -> None:
    """Serve one client until it leaves or reaches a limit of docs/live.md."""
    try:
        await _serve_client(websocket, registry)
    except WebSocketDisconnect:
        pass
    except _CloseConnection as over:
        await _close(websocket, over.code, over.reason)
    except Exception:  # noqa: BLE001 - the top of a connection: its end must not end others
        _log.exception("live_connection_failed")
        await _close(websocket, CloseCode.DEFECT, "internal error; connect again")


async def _serve_client(websocket: WebSocket, registry: SessionRegistry) -> None:
    with ExitStack() as place:
        hello, admission = await _admit(websocket, registry, place)
        sight = await registry.sight()
        asked = hello.background or messages.parse_background(admission.background or "auto")
        film = FramePipeline(sight)
        client = _Client(websocket, registry, film, hello, admission, backdrop=_backdrop(asked))
        _log.info("live_connection_opened", tenant=admission.tenant)
        await client.run()


async def _admit(
    websocket: WebSocket, registry: SessionRegistry, place: ExitStack
) -> tuple[Hello, TokenClaims]:
    """Return the first message and the token's claims, and hold the tenant's place in `place`.

    Raises _CloseConnection.
    """
    try:
        token = messages.parse_subprotocols(websocket["subprotocols"])
        claims = registry.admit(token, origin=_origin(websocket))
        place.enter_context(registry.place(claims.tenant))
        await websocket.accept(messages.SUBPROTOCOL)
        async with asyncio.timeout(messages.HELLO_SECONDS):
            first = await websocket.receive()
        hello = _parse_first(first)
    except TimeoutError:
        late = f"no first message in time: send it at once, within {messages.HELLO_SECONDS:g} s"
        raise _CloseConnection(CloseCode.SILENT, late) from None
    except RetryAfter as limited:
        raise _CloseConnection(CloseCode.FULL, str(limited)) from None
    except Unauthorized as error:
        raise _CloseConnection(CloseCode.UNAUTHORIZED, str(error)) from None
    except Rejected as error:
        raise _CloseConnection(CloseCode.UNREADABLE, str(error)) from None
    return hello, claims


def _origin(websocket: WebSocket) -> str | None:
    """Return the origin of the page that connects; None for another client."""
    return websocket.headers.get("Origin")


def _parse_first(message: Message) -> Hello:
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message["code"])
    if message.get("text") is None:
        raise MalformedRequest("the first message must be text: a JSON object")
    return messages.parse_hello(message["text"])


async def _close(websocket: WebSocket, code: CloseCode, reason: str) -> None:
    # A client's text may hold a lone surrogate, which UTF-8 cannot encode.
    short = reason.encode(errors="replace")[:_REASON_BYTES].decode(errors="ignore")
    with suppress(RuntimeError, WebSocketDisconnect):  # the client has left already
        if websocket.application_state is WebSocketState.CONNECTING:
            # Browsers show pages no answer to a handshake but this one.
            offered = messages.SUBPROTOCOL in websocket["subprotocols"]
            await websocket.accept(messages.SUBPROTOCOL if offered else None)
        await websocket.close(code, short)


@dataclass(frozen=True, slots=True)
class ReceivedFrame:
    """A received frame.

    number: the client's; content: the file; at: when it was received, in seconds of the event
    loop's clock; filmed_at: in seconds of the recording's own clock, or `at`.
    """

    number: int
    content: bytes
    at: float
    filmed_at: float


class _Client:
    """One authenticated client."""

    def __init__(
        self,
        websocket: WebSocket,
        registry: SessionRegistry,
        film: FramePipeline,
        hello: Hello,
        admission: TokenClaims,
        *,
        backdrop: Backdrop,
    ) -> None:
        self._websocket = websocket
        self._registry = registry
        self._film = film
        self._tenant = admission.tenant
        self._admitted_until = admission.expires_at
        self._max_side_px = hello.max_side_px
        self._rate = hello.rate
        self._backdrop = backdrop
        self._newest = LatestSlot()
        self._shutter = Shutter()
        # Both tasks send, and a frame is two messages that must not be separated.
        self._sending = asyncio.Lock()

    async def run(self) -> None:
        """Serve until the client leaves.  Raises _CloseConnection."""
        await self._send(messages.format_ready(self._backdrop.asked, max_side_px=self._max_side_px))
        both = [asyncio.create_task(self._hear()), asyncio.create_task(self._show())]
        try:
            for task in await self._wait_for_end(both):
                task.result()
        finally:
            for task in both:
                task.cancel()
            await asyncio.gather(*both, return_exceptions=True)

    async def _wait_for_end(self, tasks: Sequence[asyncio.Task[None]]) -> set[asyncio.Task[None]]:
        """Return the tasks that have ended.  Raises _CloseConnection when the time is over."""
        ends_at = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=messages.SESSION_SECONDS)
        # Another token can extend the time meanwhile.
        while (now := dt.datetime.now(dt.UTC)) < (until := min(ends_at, self._admitted_until)):
            done, _ = await asyncio.wait(
                tasks,
                timeout=(until - now).total_seconds(),
                return_when=asyncio.FIRST_COMPLETED,
            )
            if done:
                return done
        why = "an hour is over" if until == ends_at else "no new token came in time"
        raise _CloseConnection(CloseCode.OVER, f"{why}; POST /v1/live and connect again")

    async def _hear(self) -> None:
        """Receive messages until the client leaves; only its newest frame waits."""
        is_picture_next = False
        while True:
            message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                return
            was_picture_next, is_picture_next = is_picture_next, False
            try:
                if message.get("text") is not None:
                    is_picture_next = await self._change(message["text"])
                elif was_picture_next:
                    await self._set_background_picture(message["bytes"])
                else:
                    self._take(message["bytes"])
            except Rejected as error:
                await self._send(messages.format_error(error))

    async def _change(self, text: str) -> bool:
        """Do what a message asks; return whether the next binary message is a background."""
        asked = messages.parse_change(text)
        if isinstance(asked, AnotherToken):
            until = self._registry.extend(
                self._tenant, asked.token, origin=_origin(self._websocket)
            )
            self._admitted_until = max(self._admitted_until, until)
            return False
        if asked == messages.FILE_BACKGROUND:
            return True
        await self._set_background(asked)
        return False

    async def _set_background_picture(self, content: bytes) -> None:
        picture = await self._registry.in_thread(
            frames.decode_picture, content, self._registry.decoder
        )
        await self._set_background(messages.FILE_BACKGROUND, picture)

    async def _set_background(self, asked: Background, picture: Srgb8 | None = None) -> None:
        self._backdrop = _backdrop(asked, picture)
        await self._send(messages.format_backdrop(asked))

    def _take(self, message: bytes) -> None:
        number, content = messages.split_frame(message)
        now = asyncio.get_running_loop().time()
        # A recording is sent as fast as it is processed, so its times come from the frame numbers.
        filmed_at = now if self._rate is None else number / self._rate
        if self._newest.put(ReceivedFrame(number, content, now, filmed_at)):
            self._registry.measures.frames[FrameOutcome.DROPPED] += 1

    async def _show(self) -> None:
        """Answer frames, one after another.  Raises _CloseConnection when no more come."""
        before: float | None = None
        while True:
            try:
                async with asyncio.timeout(messages.IDLE_SECONDS):
                    arrived = await self._newest.take()
            except TimeoutError:
                idle = f"no frame for {messages.IDLE_SECONDS:g} s; connect again to send frames"
                raise _CloseConnection(CloseCode.SILENT, idle) from None
            try:
                seconds = _MAX_STEP_SECONDS if before is None else arrived.filmed_at - before
                await self._answer(arrived, seconds=seconds)
            except UnusablePhoto as error:
                self._registry.measures.frames[FrameOutcome.REFUSED] += 1
                await self._send(messages.format_error(error, number=arrived.number))
            before = arrived.filmed_at

    async def _answer(self, arrived: ReceivedFrame, *, seconds: float) -> None:
        in_thread, film = self._registry.in_thread, self._film
        # A background that is requested from now on applies to the next frame.
        backdrop = self._backdrop
        shot = await in_thread(
            pipeline.prepare_frame,
            arrived.content,
            self._registry.decoder,
            max_side_px=self._max_side_px,
        )
        matte, seen = await asyncio.gather(
            in_thread(film.cut_out, shot), in_thread(film.look, shot)
        )
        developed = await in_thread(film.render_frame, shot, matte, seen, backdrop, seconds=seconds)
        choice = developed.choice
        if choice is not None:
            chosen = messages.format_backdrop(
                backdrop.asked, name=choice.name, reason=choice.reason
            )
            await self._send(chosen)
        await self._send_frame(arrived, developed)
        faces, smiles = developed.seen.faces.faces, developed.seen.smiles
        look = summarize_frame(faces, smiles.smiles, smiles.eyes)
        best = self._shutter.observe(arrived.number, look, at=arrived.filmed_at)
        if best is not None:
            await self._send(messages.format_shutter(best.number, score=best.smile))

    async def _send_frame(self, arrived: ReceivedFrame, developed: RenderedFrame) -> None:
        elapsed = asyncio.get_running_loop().time() - arrived.at
        text = messages.format_frame(
            arrived.number, developed, milliseconds=elapsed * 1e3, dropped=self._newest.dropped
        )
        async with self._sending:
            await self._websocket.send_text(text)
            await self._websocket.send_bytes(messages.join_frame(arrived.number, developed.content))
        self._registry.measures.shown(asyncio.get_running_loop().time() - arrived.at)

    async def _send(self, message: str) -> None:
        async with self._sending:
            await self._websocket.send_text(message)


def _backdrop(asked: Background, picture: Srgb8 | None = None) -> Backdrop:
    return Backdrop(asked, seed=secrets.randbelow(_SEEDS), picture=picture)


class LatestSlot:
    """Holds at most one frame; for one event loop."""

    def __init__(self) -> None:
        self._waiting: ReceivedFrame | None = None
        self._is_there = asyncio.Event()
        self.dropped = 0

    def put(self, arrived: ReceivedFrame) -> bool:
        """Store a frame; return whether it replaced one that was waiting."""
        drops = self._waiting is not None
        self.dropped += drops
        self._waiting = arrived
        self._is_there.set()
        return drops

    async def take(self) -> ReceivedFrame:
        """Wait for a frame, and return the newest."""
        await self._is_there.wait()
        self._is_there.clear()
        arrived, self._waiting = self._waiting, None
        if arrived is None:
            raise RuntimeError("a frame was announced, but the slot is empty")
        return arrived
