"""Ask child processes to decode pictures, and distrust what they answer.

A child that dies, hangs or answers nonsense is killed, and the next picture gets another one. No
picture can make this process decode it, read beyond the answer, or wait for longer than a limit.
A child ends with this process, also when that is killed.
"""

import contextlib
import math
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from pydantic import ValidationError

from smart_filter_shared.child_processes.python_child import ChildDied, Limit, PythonChild
from smart_filter_shared.errors import (
    DecoderUnavailable,
    ImageTooLarge,
    ImageUnreadable,
    Poison,
)
from smart_filter_shared.ids import Tenant
from smart_filter_shared.security.photo_header import MAX_PIXELS
from smart_filter_shared.telemetry.logs import logger
from smart_filter_workers.decoder import turns
from smart_filter_workers.decoder.answers import (
    ANSWER,
    MESSAGE_BYTES,
    READY,
    Decoded,
    Failed,
    pack_message,
)
from smart_filter_workers.decoder.turns import RESERVED, DecoderTurns, Requester, Turn
from smart_filter_workers.results import Bytes, Photo

# A child starts in less than a second; a busy machine may need many.
_START_SECONDS: Final = 60.0
# A picture takes a fraction of a stage's time, so two children serve all threads of a worker, and
# one serves them while the other has a picture that takes long (`turns`).
_CHILDREN: Final = 2
# Niceness of the child for slow pictures: the other one and the threads go first.
_SLOW_NICENESS: Final = 5
# Variables that say where Python and libraries are; no others reach a child.
_VARIABLES: Final = ("PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH")
_SERVE: Final = "smart_filter_workers.decoder.entry:serve"
_log = logger("decoder")


class Decoder(Protocol):
    """Decodes pictures of a requester, or the module `images` pictures that are trusted."""

    def decode(self, content: bytes) -> Photo:
        """Return a photo, as `images.decode` does."""
        ...

    def decode_mask(self, content: bytes) -> Bytes:
        """Return a mask, (H, W) uint8, as `images.decode_mask` does."""
        ...


class Decoders(Protocol):
    """Gives each requester its decoder: `DecoderPool`."""

    def for_requester(self, requester: Requester) -> Decoder:
        """Return the decoder of a requester's pictures."""
        ...


class DecoderPool:
    """Decodes pictures in child processes, two at most; safe for threads.

    A child is started when it is needed, and kept.  limit_seconds: the most time for one picture,
    which also has a limit by its size.  serve: the child's function.  clock: monotonic seconds,
    of the turns.
    """

    def __init__(
        self,
        *,
        limit_seconds: float = math.inf,
        serve: str = _SERVE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._serve = serve
        self._limit_seconds = limit_seconds
        self._turns = DecoderTurns(_CHILDREN, clock=clock)
        # The kernel ends a child with the thread that started it, so that one outlives the others.
        self._starter = ThreadPoolExecutor(1, thread_name_prefix="decoder")
        self._lock = threading.Lock()
        self._idle: dict[int, _Child] = {}  # by their numbers
        self._reported = False
        self._closed = False

    def start(self) -> None:
        """Start the first child and wait until it can decode.  Raises DecoderUnavailable."""
        child = self._start_child(RESERVED)
        with self._lock:
            self._idle[RESERVED] = child

    def for_requester(self, requester: Requester) -> Decoder:
        """Return the decoder of a requester's pictures."""
        return _RequesterDecoder(self, requester)

    def list_slow_tenants(self) -> set[Tenant]:
        """Return the tenants with a slow picture in the last minutes, or now."""
        return self._turns.list_slow()

    def decode(self, content: bytes, requester: Requester | None = None) -> Photo:
        """Return an uploaded photo: upright, 8-bit sRGB, read-only; see `images.decode`.

        Raises ImageUnreadable, ImageTooLarge; Poison when the picture ends its decoder, exceeds
        the limit of time or memory, or the answer is not a decoder's; DecoderUnavailable when
        no child can be started; DecodingStopped when the picture was canceled, or takes long while
        other tenants' pictures do.
        """
        return self._ask(content, requester or Requester(), kind="photo")

    def decode_mask(self, content: bytes, requester: Requester | None = None) -> Bytes:
        """Return an uploaded mask, (H, W) uint8; see `images.decode_mask`.

        Raises what `decode` raises.
        """
        mask = self._ask(content, requester or Requester(), kind="mask").srgb
        return mask[..., 0]

    def end_spare(self) -> None:
        """End the idle child that is not for quick pictures."""
        with self._lock:
            spare = [self._idle.pop(number) for number in [*self._idle] if number != RESERVED]
        for child in spare:
            child.end()

    def close(self) -> None:
        """End the children, also those at work."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, {}
        for child in idle.values():
            child.end()
        self._starter.shutdown()

    def _ask(self, content: bytes, requester: Requester, *, kind: str) -> Photo:
        try:
            return self._ask_once(content, kind, requester)
        except ChildDied:
            # The kernel may have ended it to get memory: only a second death is the picture's. Of a
            # new child, because all others may have been ended at the same time.
            try:
                return self._ask_once(content, kind, requester, is_new=True)
            except ChildDied as error:
                raise Poison(f"the picture ended the process that decodes it: {error}") from error

    def _ask_once(
        self, content: bytes, kind: str, requester: Requester, *, is_new: bool = False
    ) -> Photo:
        cost = turns.estimate_cost(content)
        with self._borrow_child(requester, is_large=cost.is_large, is_new=is_new) as (child, turn):
            return child.decode(
                content,
                kind,
                limit_seconds=min(self._limit_seconds, cost.limit_seconds),
                check=lambda: self._check(child, turn),
            )

    def _check(self, child: "_Child", turn: Turn) -> None:
        """Raise DecodingStopped when a child must give up its picture."""
        turn.starved_seconds = child.starved_seconds()
        self._turns.check(turn)

    @contextlib.contextmanager
    def _borrow_child(
        self, requester: Requester, *, is_large: bool, is_new: bool = False
    ) -> Iterator[tuple["_Child", Turn]]:
        """Lend a child that is ready; end it when it is not to be trusted with another picture.

        is_new: whether it has decoded nothing yet; an idle one then makes room for it.
        """
        turn = self._turns.begin(requester, is_large=is_large)
        try:
            child = self._take_idle(turn.child)
            if child is not None and is_new:
                child.end()
                child = None
            child = child or self._start_child(turn.child)
            child.begin()
            self._turns.restart(turn)
            is_sound = False
            try:
                yield child, turn
                is_sound = True
            except (ImageUnreadable, ImageTooLarge):
                is_sound = True
                raise
            finally:
                turn.starved_seconds = child.starved_seconds()
                with self._lock:
                    is_kept = is_sound and not self._closed
                    if is_kept:
                        self._idle[turn.child] = child
                if not is_kept:
                    child.end()
        finally:
            self._turns.end(turn)

    def _take_idle(self, number: int) -> "_Child | None":
        with self._lock:
            if self._closed:
                raise DecoderUnavailable("the worker is shutting down")
            return self._idle.pop(number, None)

    def _start_child(self, number: int) -> "_Child":
        niceness = 0 if number == RESERVED else _SLOW_NICENESS
        try:
            child = self._starter.submit(_Child, self._serve, niceness).result()
        except (OSError, RuntimeError) as error:  # of the system, or of an executor that has ended
            raise DecoderUnavailable(f"no process can be started: {error}") from error
        try:
            missing = child.wait_until_ready()
        except (ChildDied, Poison) as error:
            child.end()
            raise DecoderUnavailable(f"the process that decodes does not start: {error}") from error
        with self._lock:
            is_news, self._reported = bool(missing) and not self._reported, True
        if is_news:
            _log.warning("decoder_not_locked", missing=missing)
        return child


@dataclass(frozen=True, slots=True)
class _RequesterDecoder:
    """Decodes the pictures of a requester in the children of a pool."""

    pool: DecoderPool
    requester: Requester

    def decode(self, content: bytes) -> Photo:
        """Return a photo; see `DecoderPool.decode`."""
        return self.pool.decode(content, self.requester)

    def decode_mask(self, content: bytes) -> Bytes:
        """Return a mask; see `DecoderPool.decode_mask`."""
        return self.pool.decode_mask(content, self.requester)


class _Child:
    """One child process.

    niceness: added to that of this process.
    """

    def __init__(self, serve: str, niceness: int) -> None:
        environment = {name: os.environ[name] for name in _VARIABLES if name in os.environ}
        self._process = PythonChild(
            serve,
            environment={**environment, "OPENBLAS_NUM_THREADS": "1"},
            niceness=niceness,
            grace_seconds=0.0,
        )
        self._starved_from = 0.0

    def wait_until_ready(self) -> list[str]:
        """Return why locks are missing, when the child can decode.  Raises ChildDied, Poison."""
        message = self._receive(MESSAGE_BYTES, Limit.after(_START_SECONDS))
        try:
            return READY.validate_json(message.tobytes()).missing
        except ValidationError as error:
            raise _forged_error("it is not ready") from error

    def decode(
        self, content: bytes, kind: str, *, limit_seconds: float, check: Callable[[], None]
    ) -> Photo:
        """Return the picture in a file's bytes; a mask has one channel.

        check: called while the child works; may raise to give the picture up.
        Raises ImageUnreadable, ImageTooLarge, Poison, and ChildDied.
        """
        limit = Limit.after(limit_seconds, check)
        # The child ends itself if this process has died and cannot end it.
        request = {"kind": kind, "bytes": len(content), "seconds": limit_seconds + 1}
        with _translate_timeout():
            self._process.send(pack_message(request), limit)
            self._process.send(content, limit)
        message = self._receive(MESSAGE_BYTES, limit)
        try:
            answer = ANSWER.validate_json(message.tobytes(), strict=True)
        except ValidationError as error:
            raise _forged_error("its answer has another form") from error
        if isinstance(answer, Failed):
            raise _picture_error(answer)
        return self._receive_photo(answer, limit)

    def begin(self) -> None:
        """Count from now on how long the child waits for a core."""
        self._starved_from = self._read_starved()

    def starved_seconds(self) -> float:
        """Return how long the child has waited for a core since `begin`; 0 where it is unknown."""
        return max(0.0, self._read_starved() - self._starved_from)

    def _read_starved(self) -> float:
        # Source: sched-stats.rst of Linux: the second number, in nanoseconds.
        try:
            numbers = Path(f"/proc/{self._process.pid}/schedstat").read_text("ascii").split()
        except OSError:  # another system, or the child has ended
            return 0.0
        return int(numbers[1]) / 1e9

    def end(self) -> None:
        """Kill the child, and wait until the kernel has removed it."""
        self._process.end()

    def _receive_photo(self, answer: Decoded, limit: Limit) -> Photo:
        if answer.height * answer.width > MAX_PIXELS:
            raise _forged_error("more pixels than are accepted")
        size = (answer.height, answer.width)
        pixels = self._receive_pixels(limit, *size, answer.channels)
        alpha = self._receive_pixels(limit, *size) if answer.alpha else None
        return Photo(
            pixels,
            answer.format,
            answer.taken_at_utc,
            self._receive(answer.exif_bytes, limit).tobytes(),
            alpha,
            answer.quantum,
        )

    def _receive_pixels(self, limit: Limit, *shape: int) -> Bytes:
        pixels = self._receive(math.prod(shape), limit)
        pixels.flags.writeable = False
        return pixels.reshape(shape)

    def _receive(self, size: int, limit: Limit) -> Bytes:
        """Return the next bytes of the child, (size,).

        Raises ChildDied, Poison, and what `limit.check` raises.
        """
        received = np.empty(size, np.uint8)
        with _translate_timeout():
            self._process.receive_into(received.data, limit)
        return received


@contextlib.contextmanager
def _translate_timeout() -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        raise Poison("decoding the picture takes too long") from error


def _picture_error(failed: Failed) -> Exception:
    message = "".join(letter for letter in failed.message if letter.isprintable())
    match failed.error:
        case "unreadable":
            return ImageUnreadable(message)
        case "too_large":
            return ImageTooLarge(message)
        case "out_of_memory":
            return Poison("decoding the picture takes too much memory")
        case "defect":
            return RuntimeError(f"the decoder raised {message}")


def _forged_error(reason: str) -> Poison:
    return Poison(f"the picture has changed the process that decodes it: {reason}")
