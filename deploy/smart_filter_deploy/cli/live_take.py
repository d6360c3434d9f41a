"""Takes a video through a live worker: of a file every frame, of a camera the newest."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from smart_filter_deploy.cli import video
from smart_filter_deploy.cli.live_moments import Moments
from smart_filter_deploy.cli.live_session import Broken, Composited, LiveSession, Missed, Moment
from smart_filter_deploy.cli.stopping import Stop
from smart_filter_deploy.cli.video import Film, Frame, Newest

# A frame that ends the connection each time is left out.
_TRIES = 3
# One is looked at while the next is on its way; more would only grow old.
_UNDER_WAY = 2
_IDLE_SECONDS = 0.1
_BUSY_SECONDS = 0.005


@dataclass(slots=True)
class Figures:
    """What has been done so far.

    frames: composited.  failed: could not be.  milliseconds: of each, from sent to received.
    score: the last rating.
    """

    frames: int = 0
    failed: int = 0
    milliseconds: list[float] = field(default_factory=list)
    score: float | None = None

    def note(self, back: Composited, seconds: float) -> None:
        """Count a frame."""
        self.frames += 1
        self.milliseconds.append(seconds * 1e3)
        self.score = back.score

    def percentile_95(self) -> float | None:
        """Return the milliseconds within which 95 of 100 frames came back."""
        if not self.milliseconds:
            return None
        ordered = sorted(self.milliseconds)
        return ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]


@dataclass(frozen=True, slots=True)
class Take:
    """One video on its way.

    moments: None where nobody waits for them.  tell: told after every frame.
    """

    session: LiveSession
    film: Film
    size: tuple[int, int]
    moments: Moments | None
    stop: Stop
    tell: Callable[[Figures], None]

    def all_of(self, frames: Iterator[Frame], figures: Figures) -> None:
        """Take every frame of a file; one at a time, so that the worker leaves none out."""
        with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(1) as writer:
            writing: Future[None] | None = None
            ahead = reader.submit(self._read, frames)
            number = 0
            while (read := ahead.result()) is not None and not self.stop.requested:
                ahead = reader.submit(self._read, frames)
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

    def newest_of(self, frames: Iterator[Frame], rate: float, figures: Figures) -> None:
        """Take the newest frame of a camera again and again.

        rate: frames a second of the film, which runs as time does.
        """
        newest = Newest(frames)
        clock = Clock(self.film, rate, time.monotonic())
        under_way: dict[int, float] = {}
        last = -1
        while not self.stop.requested:
            try:
                if len(under_way) < _UNDER_WAY:
                    found = newest.next(last, 0.0 if under_way else _IDLE_SECONDS)
                    if found is not None:
                        last = found[0]
                        under_way[last] = time.monotonic()
                        self._send(*found)
                told = self.session.receive(_BUSY_SECONDS) if under_way else None
            except EOFError:
                return
            except Broken:
                under_way.clear()
                self.session.open()
                continue
            if isinstance(told, Moment):
                self._take(told)
            elif told is not None and told.number in under_way:
                sent = under_way[told.number]
                # Older ones were left out by the worker.
                under_way = {one: when for one, when in under_way.items() if one > told.number}
                self._note(told, sent, clock, figures)

    def _send(self, number: int, frame: Frame) -> None:
        jpeg, kept = self._encoded(frame)
        self._remember(number, kept)
        self.session.send(number, jpeg)

    def _note(
        self, told: Composited | Missed, sent: float, clock: "Clock", figures: Figures
    ) -> None:
        if isinstance(told, Missed):
            figures.failed += 1
        else:
            clock.add(told.jpeg, sent)
            figures.note(told, time.monotonic() - sent)
        self.tell(figures)

    def _through(self, number: int, jpeg: bytes, figures: Figures) -> Composited | None:
        """Return a frame with its new background; None when there is none."""
        for _ in range(_TRIES):
            try:
                sent = time.monotonic()
                self.session.send(number, jpeg)
                back = self._back(number)
            except Broken:
                self.session.open()
                continue
            if back is not None:
                figures.note(back, time.monotonic() - sent)
                return back
            break
        figures.failed += 1
        return None

    def _back(self, number: int) -> Composited | None:
        while True:
            told = self.session.receive()
            if told is None:
                raise Broken(f"frame {number} did not come back")
            if isinstance(told, Moment):
                self._take(told)
            elif told.number == number:
                return told if isinstance(told, Composited) else None

    def _read(self, frames: Iterator[Frame]) -> tuple[bytes, bytes | None] | None:
        frame = next(frames, None)
        return None if frame is None else self._encoded(frame)

    def _encoded(self, frame: Frame) -> tuple[bytes, bytes | None]:
        """Return a frame as it is sent, and as it is kept where moments are waited for."""
        kept = None if self.moments is None else video.kept(frame)
        return video.sent(frame, self.size), kept

    def _remember(self, number: int, kept: bytes | None) -> None:
        if self.moments is not None and kept is not None:
            self.moments.remember(number, kept)

    def _take(self, moment: Moment) -> None:
        if self.moments is not None:
            self.moments.take(moment)


@dataclass(slots=True)
class Clock:
    """A film that runs as time does, however often frames come; times are monotonic seconds."""

    film: Film
    rate: float
    started: float
    written: int = 0

    def add(self, jpeg: bytes, when: float) -> None:
        """Add a frame that was seen at a moment."""
        due = int((when - self.started) * self.rate) + 1
        while self.written < due - 1:
            self.film.repeat()
            self.written += 1
        if self.written < due:
            self.film.add(jpeg)
            self.written += 1
