"""Opens source, session and output video, runs the frame loop, and sums up the result."""

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from smart_filter_client import Recipe
from smart_filter_deploy.cli.live import video
from smart_filter_deploy.cli.live.frames import FrameLoop, FrameStats
from smart_filter_deploy.cli.live.moments import MomentPicture, MomentRecorder
from smart_filter_deploy.cli.live.session import LiveSession
from smart_filter_deploy.cli.server.connection import open_client
from smart_filter_deploy.cli.terminal.console import can_redraw
from smart_filter_deploy.cli.terminal.exit_codes import CommandError
from smart_filter_deploy.cli.terminal.signals import StopFlag, stop_on_signals

# Interval of the progress lines where there is no terminal for a bar.
_PROGRESS_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class FilmResult:
    """Result of filming one video.

    size: width, height in pixels.  seconds: from the first frame sent to the last one received.
    """

    source: str
    path: Path
    of_camera: bool
    size: tuple[int, int]
    figures: FrameStats
    dropped: int
    seconds: float
    shots: list[MomentPicture]

    @property
    def has_failed(self) -> bool:
        """Whether a frame or a moment failed."""
        return self.figures.failed > 0 or any(shot.error is not None for shot in self.shots)

    def as_json(self) -> dict[str, object]:
        """Return the result as a JSON document."""
        p95 = self.figures.percentile_95()
        return {
            "source": self.source,
            "output": str(self.path.absolute()),
            "width": self.size[0],
            "height": self.size[1],
            "frames": self.figures.frames,
            "failed": self.figures.failed,
            "dropped": self.dropped,
            "seconds": round(self.seconds, 3),
            "frames_per_second": round(_parse_rate(self.figures, self.seconds), 2),
            "p95_ms": None if p95 is None else round(p95, 1),
            "shutters": [shot.as_json() for shot in self.shots],
        }

    def lines(self) -> Iterator[str]:
        """Yield the result as lines of text."""
        figures = self.figures
        parts = [
            f"{self.size[0]} × {self.size[1]}",
            f"{figures.frames} frames",
            f"{_parse_rate(figures, self.seconds):.1f} a second",
        ]
        p95 = figures.percentile_95()
        if p95 is not None:
            parts.append(f"p95 {p95:.0f} ms")
        if self.dropped:
            parts.append(f"{self.dropped} dropped")
        if figures.failed:
            parts.append(f"{figures.failed} failed")
        yield f"{self.path}  {', '.join(parts)}"
        for shot in self.shots:
            yield f"smiles at frame {shot.frame}: {shot.path or shot.error}"


def film_video(
    source: str,
    path: Path,
    *,
    background: str | None,
    shutter: Path | None,
    stop: StopFlag,
    console: Console,
) -> FilmResult:
    """Send a video through the live worker until it ends or a stop is requested.

    source: as `video.VideoSource` takes it.  path: the new video.  shutter: an existing folder.
    Raises CommandError.
    """
    figures = FrameStats()
    with ExitStack() as stack:
        read = stack.enter_context(video.VideoSource(source))
        frames = read.frames()
        first = next(frames, None)
        if first is None:
            raise CommandError(f"{source} has no readable frame")
        size = video.fitted_size(first.shape[1], first.shape[0])
        client = stack.enter_context(open_client())
        rate = None if read.is_camera else read.rate
        session = stack.enter_context(LiveSession(client, background, rate=rate))
        session.open()
        moments = None
        if shutter is not None:
            recipe: Recipe = {"outputs": ["image", "faces", "rating"]}
            if background is not None:
                recipe["background"] = background
            moments = stack.enter_context(MomentRecorder(client, shutter, recipe, rate=read.rate))
        made = stack.enter_context(video.VideoWriter(path, rate=read.rate, size=size))
        stack.enter_context(stop_on_signals(stop))
        started = time.monotonic()
        with _show_progress(read.count, console) as tell:
            take = FrameLoop(session, made, size, moments, stop, tell)
            every = itertools.chain([first], frames)
            if read.is_camera:
                take.process_camera(every, read.rate, figures)
            else:
                take.process_file(every, figures)
        seconds = time.monotonic() - started
        shots = [] if moments is None else moments.shots()
        return FilmResult(
            source, path, read.is_camera, size, figures, session.dropped, seconds, shots
        )


def _parse_rate(figures: FrameStats, seconds: float) -> float:
    return figures.frames / seconds if seconds > 0 else 0.0


@contextmanager
def _show_progress(count: int | None, console: Console) -> Iterator[Callable[[FrameStats], None]]:
    """Give a callback that shows progress: a bar on a terminal, else a line now and then."""
    started = time.monotonic()

    def describe(figures: FrameStats) -> str:
        of = "" if count is None else f"/{count}"
        smiles = "" if figures.score is None else f", rating {100 * figures.score:.0f}"
        rate = _parse_rate(figures, time.monotonic() - started)
        return f"{figures.frames}{of} frames, {rate:.1f} a second{smiles}"

    if not can_redraw(console):
        printed = started

        def print_line(figures: FrameStats) -> None:
            nonlocal printed
            if time.monotonic() - printed >= _PROGRESS_SECONDS:
                printed = time.monotonic()
                console.print(describe(figures), soft_wrap=True, markup=False)

        yield print_line
        return
    bar = BarColumn(bar_width=None)
    words = TextColumn("{task.description}", markup=False)
    with Progress(bar, words, console=console, transient=True, expand=True) as progress:
        task = progress.add_task("", total=count)

        def show(figures: FrameStats) -> None:
            progress.update(
                task, completed=figures.frames + figures.failed, description=describe(figures)
            )

        yield show
