"""Reads videos and cameras, and writes videos, with OpenCV from the extra `live`.

Frames are (H, W, 3) uint8, BGR, OpenCV's order.
"""

import contextlib
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from smart_filter_deploy.cli.terminal.exit_codes import PHOTO_FAILED, CommandError
from smart_filter_workers.opencv import cv2

Frame = npt.NDArray[np.uint8]

# Codecs that OpenCV's wheel can write. VP8 in WebM plays in every browser and takes a fifth of the
# time of VP9; MPEG-4 in MP4 plays in players and editors and takes almost no time.
_CODECS = {".webm": "VP80", ".mp4": "mp4v"}
_DEFAULT_RATE = 25.0
_SLOWEST, _FASTEST = 1.0, 120.0
# Limits of a live worker (docs/live.md).
_MAX_SIDE_PX = 1280
_MAX_PIXELS = 1280 * 720
_SENDING_QUALITY = 90
_KEPT_QUALITY = 95
# Source: FFmpeg, libavutil/log.h, AV_LOG_QUIET.
_AV_LOG_QUIET = "-8"


class VideoSource:
    """Frames of a video file or a camera.

    rate: frames per second, as the source reports it.  count: number of frames; None if unknown.
    width, height: in pixels.
    """

    def __init__(self, source: str) -> None:
        """Open a file, `/dev/videoN`, or a camera by its number.  Raises CommandError."""
        match = re.fullmatch(r"(?:/dev/video)?([0-9]{1,3})", source)
        self.is_camera = match is not None
        if match is None and not Path(source).is_file():
            raise CommandError(f"{source} is neither a video file nor a camera")
        with _silence_opencv():
            self._capture = cv2.VideoCapture(source if match is None else int(match[1]))
        if not self._capture.isOpened():
            what = "not a readable video" if match is None else "not an available camera"
            raise CommandError(f"{source} is {what}")
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        self.rate = rate if _SLOWEST <= rate <= _FASTEST else _DEFAULT_RATE
        count = int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        self.count = count if count > 0 and not self.is_camera else None
        self.width = int(self._capture.get(cv2.CAP_PROP_FRAME_WIDTH))
        self.height = int(self._capture.get(cv2.CAP_PROP_FRAME_HEIGHT))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._capture.release()

    def frames(self) -> Iterator[Frame]:
        """Yield all frames."""
        while True:
            there_is, frame = self._capture.read()
            if not there_is:
                return
            yield np.asarray(frame, dtype=np.uint8)


class LatestFrame:
    """The newest frame of a camera; a thread reads continuously, so that no old frames queue up."""

    def __init__(self, frames: Iterator[Frame]) -> None:
        self._changed = threading.Condition()
        self._frame: Frame | None = None
        self._number = -1
        self._has_ended = False
        threading.Thread(target=self._read_frames, args=(frames,), daemon=True).start()

    def next(self, after: int, seconds: float) -> tuple[int, Frame] | None:
        """Return the number and pixels of the newest frame, if newer than `after`.

        Returns None when none arrives in time.
        Raises EOFError when the camera ends.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._number > after or self._has_ended, seconds)
            if self._frame is not None and self._number > after:
                return self._number, self._frame
            if self._has_ended:
                raise EOFError
            return None

    def _read_frames(self, frames: Iterator[Frame]) -> None:
        for frame in frames:
            with self._changed:
                self._frame = frame
                self._number += 1
                self._changed.notify_all()
        with self._changed:
            self._has_ended = True
            self._changed.notify_all()


class VideoWriter:
    """A video file being written, without sound.

    Raises CommandError when it cannot be written.
    """

    def __init__(self, path: Path, *, rate: float, size: tuple[int, int]) -> None:
        self.path = path
        self._size = size
        self._last: Frame | None = None
        fourcc = cv2.VideoWriter.fourcc(*_CODECS[path.suffix.lower()])
        with _silence_opencv():
            self._writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, fourcc, rate, size)
        if not self._writer.isOpened():
            raise CommandError(f"{path} cannot be written as a video", PHOTO_FAILED)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.release()

    def add(self, jpeg: bytes) -> None:
        """Add a frame."""
        frame = decode(jpeg)
        if (frame.shape[1], frame.shape[0]) != self._size:
            frame = np.asarray(
                cv2.resize(frame, self._size, interpolation=cv2.INTER_AREA), np.uint8
            )
        self._last = frame
        self._writer.write(frame)

    def repeat(self) -> None:
        """Add the last frame again, or a black one at the start."""
        width, height = self._size
        black = np.zeros((height, width, 3), np.uint8)
        self._writer.write(black if self._last is None else self._last)


def fitted_size(width: int, height: int) -> tuple[int, int]:
    """Return the size in which frames are sent: their own, or scaled down to a live worker's limit.

    Width and height are even, as codecs require.
    """
    scale = min(1.0, _MAX_SIDE_PX / max(width, height), (_MAX_PIXELS / (width * height)) ** 0.5)
    return max(2, int(width * scale) // 2 * 2), max(2, int(height * scale) // 2 * 2)


def encode_for_sending(frame: Frame, size: tuple[int, int]) -> bytes:
    """Return a frame as a JPEG of that size; size is width, height."""
    return _encode_jpeg(_resize(frame, size), _SENDING_QUALITY)


def encode_kept_frame(frame: Frame) -> bytes:
    """Return a frame as a JPEG of the quality that jobs need."""
    return _encode_jpeg(frame, _KEPT_QUALITY)


def decode(jpeg: bytes) -> Frame:
    """Return a JPEG's pixels.  Raises CommandError if the bytes are not a JPEG."""
    frame = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    if frame is None:
        raise CommandError("the live worker sent a frame that is not a JPEG", PHOTO_FAILED)
    return np.asarray(frame, np.uint8)


def _resize(frame: Frame, size: tuple[int, int]) -> Frame:
    if (frame.shape[1], frame.shape[0]) == size:
        return frame
    return np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), np.uint8)


def _encode_jpeg(frame: Frame, quality: int) -> bytes:
    _, encoded = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return encoded.tobytes()


@contextlib.contextmanager
def _silence_opencv() -> Iterator[None]:
    """Keep OpenCV's messages off standard error inside the block; FFmpeg's for the whole process.

    No setting stops OpenCV's messages.
    """
    # FFmpeg also logs while frames are read, outside this block. It reads this variable once, when
    # the first video is opened; a value set by the user stays.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", _AV_LOG_QUIET)
    before = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)
        os.close(nowhere)
