"""Videos and cameras read, videos written; needs OpenCV, which the extra `live` brings.

Frames are (H, W, 3) uint8, BGR, as OpenCV has them.
"""

import contextlib
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import cv2
import numpy as np
import numpy.typing as npt

from smart_filter_deploy.cli.endings import PHOTO_FAILED, WRONG_USAGE, Ending

Frame = npt.NDArray[np.uint8]

# What OpenCV's wheel can write. VP8 in WebM plays in every browser, and takes a fifth of the time
# of VP9; MPEG-4 in MP4 plays in players and editors, and takes next to none.
_CODECS = {".webm": "VP80", ".mp4": "mp4v"}
_USUAL_RATE = 25.0
_SLOWEST, _FASTEST = 1.0, 120.0
# What a live worker takes (docs/live.md).
_MOST_SIDE = 1280
_MOST_PIXELS = 1280 * 720
_SENT_QUALITY = 90
_KEPT_QUALITY = 95
# Source: FFmpeg, libavutil/log.h, AV_LOG_QUIET.
_QUIET = "-8"


class Source:
    """Frames of a video file, one after another, or of a camera, the newest.

    rate: frames a second, as the source says.  count: how many there are; None where unknown.
    width, height: in pixels.
    """

    def __init__(self, named: str) -> None:
        """Open a file, `/dev/videoN`, or a camera by its number; raises Ending."""
        found = re.fullmatch(r"(?:/dev/video)?([0-9]{1,3})", named)
        self.is_camera = found is not None
        if found is None and not Path(named).is_file():
            raise Ending(f"{named} is neither a video file nor a camera", WRONG_USAGE)
        with _silence():
            self._capture = cv2.VideoCapture(named if found is None else int(found[1]))
        if not self._capture.isOpened():
            what = "no video that can be read" if found is None else "no camera that can be had"
            raise Ending(f"{named} is {what}", WRONG_USAGE)
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        self.rate = rate if _SLOWEST <= rate <= _FASTEST else _USUAL_RATE
        count = int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        self.count = count if count > 0 and not self.is_camera else None
        self.width = int(self._capture.get(cv2.CAP_PROP_FRAME_WIDTH))
        self.height = int(self._capture.get(cv2.CAP_PROP_FRAME_HEIGHT))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._capture.release()

    def frames(self) -> Iterator[Frame]:
        """Yield frames until there are no more."""
        while True:
            there_is, frame = self._capture.read()
            if not there_is:
                return
            yield np.asarray(frame, dtype=np.uint8)


class Newest:
    """The newest frame of a camera, which is read all the time so that none grows old in it."""

    def __init__(self, frames: Iterator[Frame]) -> None:
        self._changed = threading.Condition()
        self._frame: Frame | None = None
        self._number = -1
        self._has_ended = False
        threading.Thread(target=self._read, args=(frames,), daemon=True).start()

    def next(self, after: int, seconds: float) -> tuple[int, Frame] | None:
        """Return the newest frame and its number, newer than `after`; None when none comes in time.

        Raises EOFError when the camera gives no more.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._number > after or self._has_ended, seconds)
            if self._frame is not None and self._number > after:
                return self._number, self._frame
            if self._has_ended:
                raise EOFError
            return None

    def _read(self, frames: Iterator[Frame]) -> None:
        for frame in frames:
            with self._changed:
                self._frame = frame
                self._number += 1
                self._changed.notify_all()
        with self._changed:
            self._has_ended = True
            self._changed.notify_all()


class Film:
    """A video file that is being written, without sound.

    Raises Ending when it cannot be.
    """

    def __init__(self, path: Path, *, rate: float, size: tuple[int, int]) -> None:
        self.path = path
        self._size = size
        self._last: Frame | None = None
        fourcc = cv2.VideoWriter.fourcc(*_CODECS[path.suffix.lower()])
        with _silence():
            self._writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, fourcc, rate, size)
        if not self._writer.isOpened():
            raise Ending(f"{path} cannot be written as a video", PHOTO_FAILED)

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
        """Add the last frame once more, or a black one where there is none."""
        width, height = self._size
        black = np.zeros((height, width, 3), np.uint8)
        self._writer.write(black if self._last is None else self._last)


def fitted_size(width: int, height: int) -> tuple[int, int]:
    """Return the size in which frames are sent: as they are if a live worker takes that.

    Even in both directions, as codecs want it.
    """
    scale = min(1.0, _MOST_SIDE / max(width, height), (_MOST_PIXELS / (width * height)) ** 0.5)
    return max(2, int(width * scale) // 2 * 2), max(2, int(height * scale) // 2 * 2)


def sent(frame: Frame, size: tuple[int, int]) -> bytes:
    """Return a frame as a JPEG of that size, width first."""
    return _jpeg(_resized(frame, size), _SENT_QUALITY)


def kept(frame: Frame) -> bytes:
    """Return a frame as a JPEG that is good enough to make a picture of."""
    return _jpeg(frame, _KEPT_QUALITY)


def decode(jpeg: bytes) -> Frame:
    """Return a JPEG's pixels; raises Ending for what is none."""
    frame = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    if frame is None:
        raise Ending("the live worker sent something that is no JPEG", PHOTO_FAILED)
    return np.asarray(frame, np.uint8)


def _resized(frame: Frame, size: tuple[int, int]) -> Frame:
    if (frame.shape[1], frame.shape[0]) == size:
        return frame
    return np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), np.uint8)


def _jpeg(frame: Frame, quality: int) -> bytes:
    _, encoded = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return encoded.tobytes()


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Keep OpenCV's own words, which no setting stops, out of standard error; FFmpeg's for good."""
    # It talks while frames are read too, when others write there. It looks at this once, when the
    # first video is opened; whoever wants its words has set it before.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", _QUIET)
    before = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)
        os.close(nowhere)
