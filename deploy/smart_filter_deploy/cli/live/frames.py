"""Sends video frames through a live worker: every frame of a file, the newest of a camera."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from smart_filter_deploy.cli.live import video
from smart_filter_deploy.cli.live.moments import MomentRecorder
from smart_filter_deploy.cli.live.session import (
    CompositedFrame,
    LiveConnectionLost,
    LiveSession,
    MissedFrame,
    Moment,
)
from smart_filter_deploy.cli.live.video import Frame, LatestFrame, VideoWriter
from smart_filter_deploy.cli.terminal.signals import StopFlag

# Attempts per frame; a frame that breaks the connection each time is dropped.
_MAX_TRIES = 3
# The worker processes one frame while the next one is sent; more in flight adds only latency.
_MAX_FRAMES_IN_FLIGHT = 2
_IDLE_SECONDS = 0.1
_BUSY_SECONDS = 0.005


@dataclass(slots=True)
class FrameStats:
    """Counts and timings so far.

    frames: composited frames.  failed: frames that could not be.
    milliseconds: of each frame, from sent to received.  score: the last rating.
    """

    frames: int = 0
    failed: int = 0
    milliseconds: list[float] = field(default_factory=list)
    score: float | None = None

    def note(self, back: CompositedFrame, seconds: float) -> None:
        """Count a composited frame."""
        self.frames += 1
        self.milliseconds.append(seconds * 1e3)
        self.score = back.score

    def percentile_95(self) -> float | None:
        """Return the 95th percentile of the frame times in milliseconds; None without frames."""
        if not self.milliseconds:
            return None
        ordered = sorted(self.milliseconds)
        return ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]


@dataclass(frozen=True, slots=True)
class FrameLoop:
    """Frame loop of one video.

    moments: None when no shutter folder was given.  tell: called after every frame.
    """

    session: LiveSession
    film: VideoWriter
    size: tuple[int, int]
    moments: MomentRecorder | None
    stop: StopFlag
    tell: Callable[[FrameStats], None]

    def process_file(self, frames: Iterator[Frame], figures: FrameStats) -> None:
        """Process every frame of a file, one at a time, so that the worker drops none."""
        with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(1) as writer:
            writing: Future[None] | None = None
            upcoming = reader.submit(self._read_frame, frames)
            number = 0
            while (read := upcoming.result()) is not None and not self.stop.requested:
                upcoming = reader.submit(self._read_frame, frames)
                jpeg, kept = read
                self._remember(number, kept)
                back = self._through(number, jpeg, figures)
                if writing is not None:
                    writing.result()
                writing = (
                    writer.submit(self.film.repeat)
                    if back is None
                    else writer.submit(self.film.add, back.jpeg)
                )
                self.tell(figures)
                number += 1
            if writing is not None:
                writing.result()

    def process_camera(self, frames: Iterator[Frame], rate: float, figures: FrameStats) -> None:
        """Process the newest frame of a camera until stopped.

        rate: frames per second of the output video, which runs in real time.
        """
        newest = LatestFrame(frames)
        clock = RealTimeWriter(self.film, rate, time.monotonic())
        under_way: dict[int, float] = {}
        last = -1
        while not self.stop.requested:
            try:
                if len(under_way) < _MAX_FRAMES_IN_FLIGHT:
                    frame = newest.next(last, 0.0 if under_way else _IDLE_SECONDS)
                    if frame is not None:
                        last = frame[0]
                        under_way[last] = time.monotonic()
                        self._send(*frame)
                answer = self.session.receive(_BUSY_SECONDS) if under_way else None
            except EOFError:
                return
            except LiveConnectionLost:
                under_way.clear()
                self.session.open()
                continue
            if isinstance(answer, Moment):
                self._take(answer)
            elif answer is not None and answer.number in under_way:
                sent = under_way[answer.number]
                # The worker dropped the older frames.
                under_way = {
                    number: when for number, when in under_way.items() if number > answer.number
                }
                self._note(answer, sent, clock, figures)

    def _send(self, number: int, frame: Frame) -> None:
        jpeg, kept = self._encoded(frame)
        self._remember(number, kept)
        self.session.send(number, jpeg)

    def _note(
        self,
        answer: CompositedFrame | MissedFrame,
        sent: float,
        clock: "RealTimeWriter",
        figures: FrameStats,
    ) -> None:
        if isinstance(answer, MissedFrame):
            figures.failed += 1
        else:
            clock.add(answer.jpeg, sent)
            figures.note(answer, time.monotonic() - sent)
        self.tell(figures)

    def _through(self, number: int, jpeg: bytes, figures: FrameStats) -> CompositedFrame | None:
        """Return the composited frame; None when the worker could not process it."""
        for _ in range(_MAX_TRIES):
            try:
                sent = time.monotonic()
                self.session.send(number, jpeg)
                back = self._receive_frame(number)
            except LiveConnectionLost:
                self.session.open()
                continue
            if back is not None:
                figures.note(back, time.monotonic() - sent)
                return back
            break
        figures.failed += 1
        return None

    def _receive_frame(self, number: int) -> CompositedFrame | None:
        while True:
            answer = self.session.receive()
            if answer is None:
                raise LiveConnectionLost(f"frame {number} did not come back")
            if isinstance(answer, Moment):
                self._take(answer)
            elif answer.number == number:
                return answer if isinstance(answer, CompositedFrame) else None

    def _read_frame(self, frames: Iterator[Frame]) -> tuple[bytes, bytes | None] | None:
        frame = next(frames, None)
        return None if frame is None else self._encoded(frame)

    def _encoded(self, frame: Frame) -> tuple[bytes, bytes | None]:
        """Return a frame's JPEG to send, and its JPEG to keep (None without a shutter folder)."""
        kept = None if self.moments is None else video.encode_kept_frame(frame)
        return video.encode_for_sending(frame, self.size), kept

    def _remember(self, number: int, kept: bytes | None) -> None:
        if self.moments is not None and kept is not None:
            self.moments.remember(number, kept)

    def _take(self, moment: Moment) -> None:
        if self.moments is not None:
            self.moments.take(moment)


@dataclass(slots=True)
class RealTimeWriter:
    """Writes a video in real time at a fixed rate, however often frames arrive.

    Times are monotonic seconds.
    """

    film: VideoWriter
    rate: float
    started: float
    written: int = 0

    def add(self, jpeg: bytes, when: float) -> None:
        """Add a frame captured at `when`; repeat the previous one to fill the gap before it."""
        due = int((when - self.started) * self.rate) + 1
        while self.written < due - 1:
            self.film.repeat()
            self.written += 1
        if self.written < due:
            self.film.add(jpeg)
            self.written += 1
