"""Draw the flame graph of the default job, of all processes together.

    python docs/make_flame_graph.py worker=184,WORKER.txt API=21,API.txt PostgreSQL=7

A number is the processor milliseconds of a kind of process for a photo, while eight clients send
default jobs, and a file is what py-spy writes at the same time:

    py-spy record --function --format raw --duration 30 --output WORKER.txt --pid PID

A bar is a function, its width the share of the processor time that it and the functions above it
took. Functions of libraries are left out, and those with less than half a percent. Threads that
wait do not count. The result is docs/images/flame-default-job.svg. Lengths are px.
"""
# ruff: noqa: INP001 - this folder of documents is no package

import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Final

from make_diagrams import ACCENT, CARD, FOLDER, FONT, INK, LINE, WASH

WIDTH, MARGIN, ROW_PX, GAP_PX = 1180, 20, 22, 1
LEAST_SHARE: Final = 0.005
CHARACTER_PX: Final = 6.3  # mean width of a character of 11 px
# One frame of py-spy: `name (file.py)` or `name (file.py:12)`.
FRAME = re.compile(r"(?P<name>.+) \((?P<file>[^()]*?)(?::\d+)?\)")
PACKAGE: Final = re.compile(r"smart_filter_(?:api|workers|shared)/(?P<module>.+)\.py")
# Where a waiting thread is, as the last frame of its stack.
WAITING: Final = (
    "Condition.wait ",
    "_epoll.poll ",
    "Connection.wait ",
    "EpollSelector.select ",
)
COLORS: Final = {"stages": "#f2b79f", "backgrounds": "#f6d3a8", "networks": "#d8c6e8"}
DESCRIPTION: Final = (
    "Flame graph of all processes with default jobs: the worker's stages segmentation and composite"
    " take most of the processor time"
)


@dataclass(slots=True)
class Bar:
    """A function in one place of the graph.

    samples: of it and of the bars above it, or milliseconds.
    """

    name: str
    module: str
    samples: float = 0
    above: dict[str, "Bar"] = field(default_factory=dict)

    @property
    def color(self) -> str:
        """The color of the part of the worker that the function belongs to."""
        return COLORS.get(self.module.split("/")[0], WASH)


def read_processes(arguments: Iterable[str]) -> Bar:
    """Return the graph of processes, each given as NAME=MILLISECONDS or NAME=MILLISECONDS,FILE."""
    root = Bar("all processes", "")
    for argument in arguments:
        name, _, values = argument.partition("=")
        cost, _, file = values.partition(",")
        bar = Bar(f"{name}, {float(cost):.0f} ms", "")
        if file:
            add_stacks(bar, Path(file).read_text())
        scale(bar, float(cost) / (bar.samples or 1))
        bar.samples = float(cost)
        root.above[name] = bar
        root.samples += bar.samples
    return root


def scale(bar: Bar, factor: float) -> None:
    """Multiply the width of a bar and of those above it."""
    bar.samples *= factor
    for above in bar.above.values():
        scale(above, factor)


def add_stacks(root: Bar, text: str) -> None:
    """Add py-spy's raw output, which has a stack and its count on each line, to a bar."""
    for line in text.splitlines():
        stack, _, count = line.rpartition(" ")
        frames = stack.split(";")
        if frames[-1].startswith(WAITING):
            continue
        bar = root
        bar.samples += int(count)
        for frame in frames:
            parts = FRAME.fullmatch(frame)
            package = PACKAGE.search(parts["file"]) if parts else None
            if parts is None or package is None or "<" in parts["name"]:
                continue
            name, module = parts["name"].rpartition(".")[2].removeprefix("_"), package["module"]
            if name == "run":  # of a stage, or of a loop
                name = f"{module.removesuffix('/stage').rpartition('/')[2]}.run"
            bar = bar.above.setdefault(f"{module}.{name}", Bar(name, module))
            bar.samples += int(count)


def draw_bars(bar: Bar, left: float, row: int, px_per_sample: float) -> Iterator[tuple[int, str]]:
    """Yield the row and the SVG of a bar and of those above it."""
    width = bar.samples * px_per_sample
    share = width / (WIDTH - 2 * MARGIN)
    if share < LEAST_SHARE:
        return
    most = int((width - 8) / CHARACTER_PX)
    shown = bar.name if len(bar.name) <= most else bar.name[: most - 1] + "…"
    y = -(row + 1) * ROW_PX
    label = (
        f'<text x="{left + 4:.1f}" y="{y + 15}" font-size="11" fill="{INK}">{escape(shown)}</text>'
        if most > 2  # noqa: PLR2004 - a letter and the dots
        else ""
    )
    title = escape(f"{bar.module}: {bar.name}, {share:.1%}")
    drawn = (
        f"<g><title>{title}</title>"
        f'<rect x="{left:.1f}" y="{y}" width="{width - GAP_PX:.1f}" height="{ROW_PX - GAP_PX}"'
        f' rx="3" fill="{bar.color}" stroke="{ACCENT}" stroke-opacity=".25"/>{label}</g>'
    )
    yield row, drawn
    for above in sorted(bar.above.values(), key=lambda child: child.samples, reverse=True):
        yield from draw_bars(above, left, row + 1, px_per_sample)
        left += above.samples * px_per_sample


def draw(root: Bar) -> str:
    """Return the graph as SVG."""
    bars = list(draw_bars(root, MARGIN, 0, (WIDTH - 2 * MARGIN) / root.samples))
    height = (max(row for row, _ in bars) + 1) * ROW_PX + 2 * MARGIN
    parts = "\n".join(part for _, part in bars)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}"'
        f' font-family="{FONT}" role="img" aria-label="{DESCRIPTION}">\n'
        f'<rect x=".75" y=".75" width="{WIDTH - 1.5:g}" height="{height - 1.5:g}" rx="16"'
        f' fill="{CARD}" stroke="{LINE}" stroke-width="1.5"/>\n'
        f'<g transform="translate(0 {height - MARGIN})">\n{parts}\n</g>\n</svg>\n'
    )


if __name__ == "__main__":
    (FOLDER / "flame-default-job.svg").write_text(draw(read_processes(sys.argv[1:])))
