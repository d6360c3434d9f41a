"""Ask child processes to decode pictures, and distrust what they answer.

A child that dies, hangs or answers nonsense is killed, and the next picture gets another one. No
picture can make this process decode it, read beyond the answer, or wait for longer than a limit.
"""

import contextlib
import fcntl
import json
import mmap
import os
import socket
import subprocess
import sys
import tempfile
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
from smart_filter_shared.security.photo_header import MAX_PIXELS
from smart_filter_shared.telemetry.logs import logger
from smart_filter_workers.decoder.answers import ANSWER, MAX_LINE_BYTES, READY, Decoded, Failed
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
# Pixels of fewer bytes are copied out of a file that the child keeps: copying 3 MB costs less than
# new pages of memory. More bytes are used where the child wrote them, and it gets another file.
_KEPT_BYTES: Final = 8 * 1024 * 1024
_MODULE: Final = "smart_filter_workers.decoder.child"
# 0: this system has no files in memory that can be sealed.
_SEALS: Final = (
    fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
    if hasattr(fcntl, "F_ADD_SEALS")
    else 0
)
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
        the limit of time or memory, or the answer is not that of a decoder; DecoderUnavailable when
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
            # The kernel may have ended it to get memory: only a second death is the picture's.
            try:
                return self._ask_once(content, kind)
            except _ChildDied as error:
                raise Poison(f"the picture ended the process that decodes it: {error}") from error

    def _ask_once(self, content: bytes, kind: str) -> Photo:
        with self._borrow_child() as child:
            return child.decode(content, kind, limit_seconds=self._limit_seconds)

    @contextlib.contextmanager
    def _borrow_child(self) -> Iterator["_Child"]:
        """Lend a child that is ready; end it when it is not to be trusted with another picture."""
        with self._turns:
            child = self._take_idle() or self._start_child()
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
        self._file = _open_shared_file()
        self._socket, theirs = socket.socketpair()
        environment = {name: os.environ[name] for name in _VARIABLES if name in os.environ}
        with theirs:
            try:
                self._process = subprocess.Popen(  # noqa: S603 - this very program
                    [sys.executable, "-P", "-m", module, str(theirs.fileno())],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    env={**environment, "OPENBLAS_NUM_THREADS": "1"},
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,
                )
            except BaseException:
                self._socket.close()
                os.close(self._file)
                raise

    def wait_until_ready(self) -> list[str]:
        """Return why locks are missing, when the child can decode.  Raises _ChildDied, Poison."""
        line = self._read_line(time.monotonic() + _START_SECONDS)
        try:
            return READY.validate_json(line).missing
        except ValidationError as error:
            raise _forged_error("it is not ready") from error

    def decode(self, content: bytes, kind: str, *, limit_seconds: float) -> Photo:
        """Return the picture in a file's bytes; a mask has one channel.

        Raises ImageUnreadable, ImageTooLarge, Poison, and _ChildDied.
        """
        ends_at = time.monotonic() + limit_seconds
        _write(self._file, content)
        # The child ends itself if this process has died and cannot end it.
        request = {"kind": kind, "bytes": len(content), "seconds": limit_seconds + 1}
        try:
            self._socket.settimeout(limit_seconds)
            socket.send_fds(self._socket, [json.dumps(request).encode()], [self._file])
        except OSError as error:
            raise self._died_error() from error
        line = self._read_line(ends_at)
        try:
            answer = ANSWER.validate_json(line, strict=True)
        except ValidationError as error:
            raise _forged_error("its answer has another form") from error
        try:
            if isinstance(answer, Failed):
                raise _picture_error(answer)
            return _read_photo(self._file, answer)
        finally:
            if os.fstat(self._file).st_size >= _KEPT_BYTES:
                os.close(self._file)
                self._file = _open_shared_file()

    def end(self) -> None:
        """Kill the child, and wait until the kernel has removed it."""
        self._socket.close()
        os.close(self._file)
        self._process.kill()
        self._process.wait()

    def _read_line(self, ends_at: float) -> bytes:
        line = bytearray()
        while not line.endswith(b"\n"):
            try:
                self._socket.settimeout(max(0.001, ends_at - time.monotonic()))
                part = self._socket.recv(MAX_LINE_BYTES)
            except TimeoutError as error:
                raise Poison("decoding the picture takes too long") from error
            except OSError as error:
                raise self._died_error() from error
            if not part:
                raise self._died_error()
            line += part
            if len(line) > MAX_LINE_BYTES or b"\n" in line[:-1]:
                raise _forged_error("its answer is too long")
        return bytes(line)

    def _died_error(self) -> _ChildDied:
        self._process.kill()
        return _ChildDied(f"status {self._process.wait()}")


def _open_shared_file() -> int:
    """Open an empty file that has no name: in memory, or where that is missing on disk."""
    if _SEALS:
        return os.memfd_create("picture", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    file, path = tempfile.mkstemp()
    os.unlink(path)  # noqa: PTH108 - a name, which tempfile returns as text
    return file


def _write(file: int, content: bytes) -> None:
    left, at = memoryview(content), 0
    while left:
        written = os.pwrite(file, left, at)
        left, at = left[written:], at + written


def _read_photo(file: int, answer: Decoded) -> Photo:
    """Return the picture that the child wrote.  Raises Poison when it is not what it answered."""
    if answer.height * answer.width > MAX_PIXELS:
        raise _forged_error("more pixels than are accepted")
    if os.fstat(file).st_size < answer.pixel_bytes + answer.exif_bytes:
        raise _forged_error("fewer pixels than it says")
    if not _SEALS or answer.pixel_bytes < _KEPT_BYTES:
        pixels = np.empty(answer.pixel_bytes, np.uint8)
        if os.preadv(file, [pixels.data], 0) != answer.pixel_bytes:
            raise _forged_error("fewer pixels than before")
    else:
        pixels = _map_pixels(file, answer.pixel_bytes)
    return Photo(
        pixels.reshape(answer.height, answer.width, answer.channels),
        answer.format,
        answer.taken_at_utc,
        os.pread(file, answer.exif_bytes, answer.pixel_bytes),
    )


def _map_pixels(file: int, pixel_bytes: int) -> NDArray[np.uint8]:
    """Return the beginning of a file as read-only pixels, which the child cannot change any more.

    Raises Poison when the child has mapped it to change it later, or has shortened it.
    """
    try:
        fcntl.fcntl(file, fcntl.F_ADD_SEALS, _SEALS)
        # Linux before 6.7 refuses shared mappings of a sealed file.
        flags = mmap.MAP_PRIVATE | getattr(mmap, "MAP_POPULATE", 0)
        return np.frombuffer(mmap.mmap(file, pixel_bytes, flags, mmap.PROT_READ), np.uint8)
    except (OSError, ValueError) as error:
        raise _forged_error("it can still change the pixels") from error


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
