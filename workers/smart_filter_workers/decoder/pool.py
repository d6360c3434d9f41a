"""Ask child processes to decode pictures, and distrust what they answer.

A child that dies, hangs or answers nonsense is killed, and the next picture gets another one. No
picture can make this process decode it, read beyond the answer, or wait for longer than a limit.
"""

import contextlib
import math
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from smart_filter_shared.errors import (
    DecoderUnavailable,
    ImageTooLarge,
    ImageUnreadable,
    Poison,
)
from smart_filter_shared.security import search_paths
from smart_filter_shared.security.photo_header import MAX_PIXELS
from smart_filter_shared.telemetry.logs import logger
from smart_filter_workers.decoder.answers import (
    ANSWER,
    MESSAGE_BYTES,
    READY,
    Decoded,
    Failed,
    pack_message,
)
from smart_filter_workers.results import Photo

# Limit of one picture, in seconds. 50 megapixels take up to 5 s of processor time, 17 s on a busy
# machine, and damaged files at most 20. It is below SMART_FILTER_STAGE_SECONDS, at which the worker
# would end itself.
_LIMIT_SECONDS: Final = 60.0
# A child starts in less than a second; a busy machine may need many.
_START_SECONDS: Final = 60.0
# A picture takes a fraction of a stage's time, so two children serve all threads of a worker, and
# one serves them while the other has a picture that takes long.
_CHILDREN: Final = 2
# Variables that say where Python and libraries are; no others reach a child.
_VARIABLES: Final = ("PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH")
_MODULE: Final = "smart_filter_workers.decoder.entry"
_log = logger("decoder")


class Decoder(Protocol):
    """Decodes pictures: `DecoderPool`, or the module `images` for pictures that are trusted."""

    def decode(self, content: bytes) -> Photo:
        """Return a photo, as `images.decode` does."""
        ...

    def decode_mask(self, content: bytes) -> NDArray[np.uint8]:
        """Return a mask, (H, W) uint8, as `images.decode_mask` does."""
        ...


class DecoderPool:
    """Decodes pictures in child processes, two at most; safe for threads.

    A child is started when it is needed, and kept.  limit_seconds: the time for one picture.
    module: the child's program.
    """

    def __init__(self, *, limit_seconds: float = _LIMIT_SECONDS, module: str = _MODULE) -> None:
        self._module = module
        self._limit_seconds = limit_seconds
        self._turns = threading.BoundedSemaphore(_CHILDREN)
        self._lock = threading.Lock()
        self._idle: list[_Child] = []
        self._reported = False
        self._closed = False

    def start(self) -> None:
        """Start a child and wait until it can decode.  Raises DecoderUnavailable."""
        with self._borrow_child():
            pass

    def decode(self, content: bytes) -> Photo:
        """Return an uploaded photo: upright, 8-bit sRGB, read-only; see `images.decode`.

        Raises ImageUnreadable, ImageTooLarge; Poison when the picture ends its decoder, exceeds
        the limit of time or memory, or the answer is not a decoder's; DecoderUnavailable when
        no child can be started.
        """
        return self._ask(content, kind="photo")

    def decode_mask(self, content: bytes) -> NDArray[np.uint8]:
        """Return an uploaded mask, (H, W) uint8; see `images.decode_mask`.

        Raises what `decode` raises.
        """
        mask = self._ask(content, kind="mask").srgb
        return mask[..., 0]

    def close(self) -> None:
        """End the children; those at work end with their picture."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for child in idle:
            child.end()

    def _ask(self, content: bytes, *, kind: str) -> Photo:
        try:
            return self._ask_once(content, kind)
        except _ChildDied:
            # The kernel may have ended it to get memory: only a second death is the picture's. Of a
            # new child, because all others may have been ended at the same time.
            try:
                return self._ask_once(content, kind, is_new=True)
            except _ChildDied as error:
                raise Poison(f"the picture ended the process that decodes it: {error}") from error

    def _ask_once(self, content: bytes, kind: str, *, is_new: bool = False) -> Photo:
        with self._borrow_child(is_new=is_new) as child:
            return child.decode(content, kind, limit_seconds=self._limit_seconds)

    @contextlib.contextmanager
    def _borrow_child(self, *, is_new: bool = False) -> Iterator["_Child"]:
        """Lend a child that is ready; end it when it is not to be trusted with another picture.

        is_new: whether it has decoded nothing yet; an idle one then makes room for it.
        """
        with self._turns:
            child = self._take_idle()
            if child is not None and is_new:
                child.end()
                child = None
            child = child or self._start_child()
            is_sound = False
            try:
                yield child
                is_sound = True
            except (ImageUnreadable, ImageTooLarge):
                is_sound = True
                raise
            finally:
                with self._lock:
                    is_kept = is_sound and not self._closed
                    if is_kept:
                        self._idle.append(child)
                if not is_kept:
                    child.end()

    def _take_idle(self) -> "_Child | None":
        with self._lock:
            if self._closed:
                raise DecoderUnavailable("the worker is shutting down")
            return self._idle.pop() if self._idle else None

    def _start_child(self) -> "_Child":
        try:
            child = _Child(self._module)
        except OSError as error:
            raise DecoderUnavailable(f"no process can be started: {error}") from error
        try:
            missing = child.wait_until_ready()
        except (_ChildDied, Poison) as error:
            child.end()
            raise DecoderUnavailable(f"the process that decodes does not start: {error}") from error
        with self._lock:
            is_news, self._reported = bool(missing) and not self._reported, True
        if is_news:
            _log.warning("decoder_not_locked", missing=missing)
        return child


class _ChildDied(Exception):
    """The child has ended without an answer; the message says how."""


class _Child:
    """One child process, and the socket to it."""

    def __init__(self, module: str) -> None:
        self._socket, theirs = socket.socketpair()
        environment = {name: os.environ[name] for name in _VARIABLES if name in os.environ}
        search_paths.leave_working_folder(environment)
        with theirs:
            try:
                self._process = subprocess.Popen(  # noqa: S603 - this very program
                    [sys.executable, "-P", "-m", module, str(theirs.fileno())],
                    cwd="/",
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    env={**environment, "OPENBLAS_NUM_THREADS": "1"},
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,
                )
            except BaseException:
                self._socket.close()
                raise

    def wait_until_ready(self) -> list[str]:
        """Return why locks are missing, when the child can decode.  Raises _ChildDied, Poison."""
        message = self._receive(MESSAGE_BYTES, time.monotonic() + _START_SECONDS)
        try:
            return READY.validate_json(message.tobytes()).missing
        except ValidationError as error:
            raise _forged_error("it is not ready") from error

    def decode(self, content: bytes, kind: str, *, limit_seconds: float) -> Photo:
        """Return the picture in a file's bytes; a mask has one channel.

        Raises ImageUnreadable, ImageTooLarge, Poison, and _ChildDied.
        """
        ends_at = time.monotonic() + limit_seconds
        # The child ends itself if this process has died and cannot end it.
        request = {"kind": kind, "bytes": len(content), "seconds": limit_seconds + 1}
        with self._translate_errors():
            self._socket.settimeout(limit_seconds)
            self._socket.sendall(pack_message(request))
            self._socket.sendall(content)
        message = self._receive(MESSAGE_BYTES, ends_at)
        try:
            answer = ANSWER.validate_json(message.tobytes(), strict=True)
        except ValidationError as error:
            raise _forged_error("its answer has another form") from error
        if isinstance(answer, Failed):
            raise _picture_error(answer)
        return self._receive_photo(answer, ends_at)

    def end(self) -> None:
        """Kill the child, and wait until the kernel has removed it."""
        self._socket.close()
        self._process.kill()
        self._process.wait()

    def _receive_photo(self, answer: Decoded, ends_at: float) -> Photo:
        if answer.height * answer.width > MAX_PIXELS:
            raise _forged_error("more pixels than are accepted")
        size = (answer.height, answer.width)
        pixels = self._receive_pixels(ends_at, *size, answer.channels)
        alpha = self._receive_pixels(ends_at, *size) if answer.alpha else None
        return Photo(
            pixels,
            answer.format,
            answer.taken_at_utc,
            self._receive(answer.exif_bytes, ends_at).tobytes(),
            alpha,
        )

    def _receive_pixels(self, ends_at: float, *shape: int) -> NDArray[np.uint8]:
        pixels = self._receive(math.prod(shape), ends_at)
        pixels.flags.writeable = False
        return pixels.reshape(shape)

    def _receive(self, size: int, ends_at: float) -> NDArray[np.uint8]:
        """Return the next bytes of the child, (size,).  Raises _ChildDied, Poison."""
        received = np.empty(size, np.uint8)
        left = received.data
        with self._translate_errors():
            while left:
                self._socket.settimeout(max(0.001, ends_at - time.monotonic()))
                count = self._socket.recv_into(left)
                if not count:
                    raise self._died_error()
                left = left[count:]
        return received

    @contextlib.contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            yield
        except TimeoutError as error:
            raise Poison("decoding the picture takes too long") from error
        except OSError as error:
            raise self._died_error() from error

    def _died_error(self) -> _ChildDied:
        self._process.kill()
        return _ChildDied(f"status {self._process.wait()}")


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
