"""A connection: one client's messages, and its frames one after the other, the newest first."""

import asyncio
import secrets
from contextlib import suppress
from typing import Final

from starlette.websockets import WebSocket, WebSocketDisconnect

from smart_filter_shared.errors import (
    Limited,
    MalformedRequest,
    Rejected,
    Unauthorized,
    Unusable,
)
from smart_filter_shared.live.tokens import Admission
from smart_filter_shared.recipe import Background
from smart_filter_shared.telemetry.logs import logger
from smart_filter_shared.telemetry.metrics import FrameOutcome
from smart_filter_workers.live import film as films
from smart_filter_workers.live import frames, messages
from smart_filter_workers.live.backdrop import Backdrop
from smart_filter_workers.live.film import Developed, Film
from smart_filter_workers.live.house import House
from smart_filter_workers.live.messages import Close, Hello
from smart_filter_workers.live.newest import Arrived, Newest
from smart_filter_workers.live.shutter import Shutter, look_of
from smart_filter_workers.results import Srgb8

# After a pause nothing is remembered of what frames showed before it.
_LONGEST_STEP_SECONDS: Final = 10.0
# Of a close frame's reason.  Source: RFC 6455, 5.5: a control frame holds 125 bytes, two the code.
_REASON_BYTES: Final = 123
_SEEDS: Final = 2**53

_log = logger("live")


class _Over(Exception):
    """The connection is to be closed, with a code and words."""

    def __init__(self, code: Close, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


async def serve(websocket: WebSocket, house: House) -> None:
    """Serve one client until it leaves, or until one of the bounds of docs/live.md is reached."""
    try:
        await _served(websocket, house)
    except WebSocketDisconnect:
        pass
    except _Over as over:
        await _close(websocket, over.code, over.reason)
    except Exception:  # noqa: BLE001 - the top of a connection: its end must not end others
        _log.exception("live connection failed")
        await _close(websocket, Close.DEFECT, "something went wrong here; connect again")


async def _served(websocket: WebSocket, house: House) -> None:
    hello, admission = await _greeted(websocket, house)
    try:
        with house.place(admission.tenant):
            sight = await house.sight()
            asked = hello.background or messages.background(admission.background or "auto")
            client = _Client(websocket, house, Film(sight), hello, _backdrop(asked))
            _log.info("live connection", tenant=admission.tenant)
            await client.run()
    except Limited as limited:
        raise _Over(Close.FULL, str(limited)) from None


async def _greeted(websocket: WebSocket, house: House) -> tuple[Hello, Admission]:
    """Take the first message, and what its token says.  Raises _Over."""
    try:
        await websocket.accept()
        async with house.door(seconds=messages.HELLO_SECONDS):
            first = await websocket.receive()
    except TimeoutError:
        late = f"no token in time: send it at once, within {messages.HELLO_SECONDS:g} s"
        raise _Over(Close.SILENT, late) from None
    if first["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(first["code"])
    try:
        if first.get("text") is None:
            raise MalformedRequest('the first message is text: {"token": "…"}')
        hello = messages.hello(first["text"])
        return hello, house.admit(hello.token)
    except Unauthorized as error:
        raise _Over(Close.UNAUTHORIZED, str(error)) from None
    except Rejected as error:
        raise _Over(Close.UNREADABLE, str(error)) from None


async def _close(websocket: WebSocket, code: Close, reason: str) -> None:
    # What a client wrote may hold half a character, which UTF-8 has no bytes for.
    short = reason.encode(errors="replace")[:_REASON_BYTES].decode(errors="ignore")
    with suppress(RuntimeError, WebSocketDisconnect):  # it has gone already
        await websocket.close(code, short)


class _Client:
    """One client that has been let in."""

    def __init__(
        self,
        websocket: WebSocket,
        house: House,
        film: Film,
        hello: Hello,
        backdrop: Backdrop,
    ) -> None:
        self._websocket = websocket
        self._house = house
        self._film = film
        self._max_side_px = hello.max_side_px
        self._rate = hello.rate
        self._backdrop = backdrop
        self._newest = Newest()
        self._shutter = Shutter()
        # Both tasks send, and a frame is two messages.
        self._sending = asyncio.Lock()

    async def run(self) -> None:
        """Serve until the client leaves, or raise _Over."""
        await self._send(messages.ready(self._backdrop.asked, max_side_px=self._max_side_px))
        both = [asyncio.create_task(self._hear()), asyncio.create_task(self._show())]
        try:
            done, _ = await asyncio.wait(
                both, timeout=messages.SESSION_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
            if not done:
                raise _Over(Close.OVER, "an hour is over; POST /v1/live and connect again")
            for task in done:
                task.result()
        finally:
            for task in both:
                task.cancel()
            await asyncio.gather(*both, return_exceptions=True)

    async def _hear(self) -> None:
        """Take messages until the client leaves; of its frames the newest waits."""
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
                    await self._stand_before(message["bytes"])
                else:
                    self._take(message["bytes"])
            except Rejected as error:
                await self._send(messages.error(error))

    async def _change(self, text: str) -> bool:
        """Change the background; return whether the next binary message is a picture for that."""
        asked = messages.change(text)
        if asked == messages.FILE:
            return True
        await self._put_behind(asked)
        return False

    async def _stand_before(self, content: bytes) -> None:
        picture = await self._house.in_thread(frames.picture, content)
        await self._put_behind(messages.FILE, picture)

    async def _put_behind(self, asked: Background, picture: Srgb8 | None = None) -> None:
        self._backdrop = _backdrop(asked, picture)
        await self._send(messages.backdrop(asked))

    def _take(self, message: bytes) -> None:
        number, content = messages.parted(message)
        now = asyncio.get_running_loop().time()
        # A recording comes as fast as it is processed; its seconds are those of its frames.
        filmed_at = now if self._rate is None else number / self._rate
        if self._newest.put(Arrived(number, content, now, filmed_at)):
            self._house.measures.frames[FrameOutcome.DROPPED] += 1

    async def _show(self) -> None:
        """Answer frames, one after the other.  Raises _Over when none comes any more."""
        before: float | None = None
        while True:
            try:
                async with asyncio.timeout(messages.IDLE_SECONDS):
                    arrived = await self._newest.take()
            except TimeoutError:
                idle = f"no frame for {messages.IDLE_SECONDS:g} s; connect again when there are"
                raise _Over(Close.SILENT, idle) from None
            try:
                seconds = _LONGEST_STEP_SECONDS if before is None else arrived.filmed_at - before
                await self._answer(arrived, seconds=seconds)
            except Unusable as error:
                self._house.measures.frames[FrameOutcome.REFUSED] += 1
                await self._send(messages.error(error, number=arrived.number))
            before = arrived.filmed_at

    async def _answer(self, arrived: Arrived, *, seconds: float) -> None:
        in_thread, film = self._house.in_thread, self._film
        # What is asked for meanwhile stands behind the next frame.
        backdrop = self._backdrop
        shot = await in_thread(films.shot, arrived.content, max_side_px=self._max_side_px)
        matte, seen = await asyncio.gather(
            in_thread(film.cut_out, shot), in_thread(film.look, shot)
        )
        developed = await in_thread(film.develop, shot, matte, seen, backdrop, seconds=seconds)
        choice = developed.choice
        if choice is not None:
            chosen = messages.backdrop(backdrop.asked, name=choice.name, reason=choice.reason)
            await self._send(chosen)
        await self._send_frame(arrived, developed)
        faces, smiles = developed.seen.faces.faces, developed.seen.smiles
        look = look_of(faces, smiles.smiles, smiles.eyes)
        best = self._shutter.observe(arrived.number, look, at=arrived.filmed_at)
        if best is not None:
            await self._send(messages.shutter(best.number, score=best.smile))

    async def _send_frame(self, arrived: Arrived, developed: Developed) -> None:
        taken = asyncio.get_running_loop().time() - arrived.at
        told = messages.frame(
            arrived.number, developed, milliseconds=taken * 1e3, dropped=self._newest.dropped
        )
        async with self._sending:
            await self._websocket.send_text(told)
            await self._websocket.send_bytes(messages.joined(arrived.number, developed.content))
        self._house.measures.shown(asyncio.get_running_loop().time() - arrived.at)

    async def _send(self, message: str) -> None:
        async with self._sending:
            await self._websocket.send_text(message)


def _backdrop(asked: Background, picture: Srgb8 | None = None) -> Backdrop:
    return Backdrop(asked, seed=secrets.randbelow(_SEEDS), picture=picture)
