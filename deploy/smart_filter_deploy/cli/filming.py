"""Films: opens source, session and film, takes the one through to the other, sums up."""

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from smart_filter_deploy.cli import video
from smart_filter_deploy.cli.connection import connected
from smart_filter_deploy.cli.display import can_redraw
from smart_filter_deploy.cli.endings import WRONG_USAGE, Ending
from smart_filter_deploy.cli.live_moments import Moments, Shot
from smart_filter_deploy.cli.live_session import LiveSession
from smart_filter_deploy.cli.live_take import Figures, Take
from smart_filter_deploy.cli.stopping import Stop, asked_by_signals

# How often a line is printed where nobody looks at a bar.
_LINE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Filmed:
    """What was made of a video.

    size: width, height.  seconds: from the first frame sent to the last one received.
    """

    source: str
    path: Path
    of_camera: bool
    size: tuple[int, int]
    figures: Figures
    dropped: int
    seconds: float
    shots: list[Shot]

    @property
    def has_failed(self) -> bool:
        """Whether a frame or a moment was lost."""
        return self.figures.failed > 0 or any(shot.error is not None for shot in self.shots)

    def as_json(self) -> dict[str, object]:
        """Return it for a program."""
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
            "frames_per_second": round(_rate(self.figures, self.seconds), 2),
            "p95_ms": None if p95 is None else round(p95, 1),
            "shutters": [shot.as_json() for shot in self.shots],
        }

    def lines(self) -> Iterator[str]:
        """Yield it in lines for people."""
        figures = self.figures
        told = [
            f"{self.size[0]} × {self.size[1]}",
            f"{figures.frames} frames",
            f"{_rate(figures, self.seconds):.1f} a second",
        ]
        p95 = figures.percentile_95()
        if p95 is not None:
            told.append(f"19 of 20 back within {p95:.0f} ms")
        if self.dropped:
            told.append(f"{self.dropped} left out")
        if figures.failed:
            told.append(f"{figures.failed} failed")
        yield f"{self.path}  {', '.join(told)}"
        for shot in self.shots:
            yield f"smiles at frame {shot.frame}: {shot.path or shot.error}"


def film(
    source: str,
    path: Path,
    *,
    background: str | None,
    shutter: Path | None,
    stop: Stop,
    console: Console,
) -> Filmed:
    """Take a video through the live worker, until it ends or somebody asks to stop.

    source: as `video.Source` takes it.  path: the new video.  shutter: a folder that exists.
    Raises Ending.
    """
    figures = Figures()
    with ExitStack() as stack:
        read = stack.enter_context(video.Source(source))
        frames = read.frames()
        first = next(frames, None)
        if first is None:
            raise Ending(f"{source} has no frame that can be read", WRONG_USAGE)
        size = video.fitted_size(first.shape[1], first.shape[0])
        client = stack.enter_context(connected())
        rate = None if read.is_camera else read.rate
        session = stack.enter_context(LiveSession(client, background, rate=rate))
        session.open()
        moments = None
        if shutter is not None:
            recipe = {"outputs": ["image,faces,rating"]}
            recipe |= {} if background is None else {"background": [background]}
            moments = stack.enter_context(Moments(client, shutter, recipe, rate=rate))
        made = stack.enter_context(video.Film(path, rate=read.rate, size=size))
        stack.enter_context(asked_by_signals(stop))
        started = time.monotonic()
        with _progress(read.count, console) as tell:
            take = Take(session, made, size, moments, stop, tell)
            every = itertools.chain([first], frames)
            if read.is_camera:
                take.newest_of(every, read.rate, figures)
            else:
                take.all_of(every, figures)
        seconds = time.monotonic() - started
        shots = [] if moments is None else moments.shots()
        return Filmed(source, path, read.is_camera, size, figures, session.dropped, seconds, shots)


def _rate(figures: Figures, seconds: float) -> float:
    return figures.frames / seconds if seconds > 0 else 0.0


@contextmanager
def _progress(count: int | None, console: Console) -> Iterator[Callable[[Figures], None]]:
    """Give what shows how far it is: a bar on a terminal, elsewhere a line now and then."""
    started = time.monotonic()

    def told(figures: Figures) -> str:
        of = "" if count is None else f"/{count}"
        smiles = "" if figures.score is None else f", rating {figures.score:.2f}"
        rate = _rate(figures, time.monotonic() - started)
        return f"{figures.frames}{of} frames, {rate:.1f} a second{smiles}"

    if not can_redraw(console):
        printed = started

        def print_line(figures: Figures) -> None:
            nonlocal printed
            if time.monotonic() - printed >= _LINE_SECONDS:
                printed = time.monotonic()
                console.print(told(figures), soft_wrap=True, markup=False)

        yield print_line
        return
    bar = BarColumn(bar_width=None)
    words = TextColumn("{task.description}", markup=False)
    with Progress(bar, words, console=console, transient=True, expand=True) as progress:
        task = progress.add_task("", total=count)

        def show(figures: Figures) -> None:
            progress.update(
                task, completed=figures.frames + figures.failed, description=told(figures)
            )

        yield show
