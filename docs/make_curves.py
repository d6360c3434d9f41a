"""Draw curves of measurements: `python docs/make_curves.py`, from docs/measured into docs/images.

Each file in docs/measured is the last line of a benchmark's output:

    python -m benchmarks.scaling | tail -1 > docs/measured/scaling.json
    python -m benchmarks.claims | tail -1 > docs/measured/claims.json

Lengths are px. Colors and type are those of the diagrams.
"""
# ruff: noqa: INP001 - this folder of documents is no package

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from make_diagrams import ACCENT, ARROW, CARD, FOLDER, FONT, INK, LINE, SOFT, WASH, words

MEASURED: Final = Path(__file__).parent / "measured"
HEIGHT, PANEL_WIDTH = 360, 470
LEFT, TOP, RIGHT, BOTTOM = 76, 70, 64, 62  # margins of a panel, px
DOT_PX, BAR_PX = 4.5, 18

Point = tuple[float, float]
Document = dict[str, Any]  # the JSON of benchmarks.figures.print_figures


@dataclass(frozen=True, slots=True)
class Axis:
    """The numbers and the title of an axis, linear or logarithmic."""

    ticks: Sequence[float]
    title: str
    is_logarithmic: bool = True

    def place(self, value: float) -> float:
        """Return the position of a value: 0 at the first tick, 1 at the last one."""
        first, last = self.ticks[0], self.ticks[-1]
        if self.is_logarithmic:
            return math.log(value / first) / math.log(last / first)
        return (value - first) / (last - first)


@dataclass(frozen=True, slots=True)
class Panel:
    """One curve of measurements, and a dashed line to compare it with.

    left: left edge, px.  labels: one text for each point.  reference: points of the dashed line.
    reference_label: the text at its end.
    """

    left: float
    title: str
    across: Axis
    up: Axis
    points: Sequence[Point]
    labels: Sequence[str]
    reference: Sequence[Point]
    reference_label: str

    def drawn(self) -> str:
        """Return the panel as SVG."""
        curve = " L".join(f"{x:.1f} {y:.1f}" for x, y in map(self._at, self.points))
        dashed = " L".join(f"{x:.1f} {y:.1f}" for x, y in map(self._at, self.reference))
        end = self._at(self.reference[-1])
        return "".join(
            [
                words(self.title, (self.left + 20, 38), px=15, weight=600, anchor="start"),
                *(self._line_at(tick) for tick in self.up.ticks),
                *(self._named_at(tick) for tick in self.across.ticks),
                words(self.up.title, (self.left + 20, 58), color=SOFT, anchor="start"),
                words(self.across.title, (self._middle(), HEIGHT - 18), color=SOFT),
                f'<path d="M{dashed}" fill="none" stroke="{ARROW}" stroke-dasharray="5 4"/>',
                words(self.reference_label, (end[0] - 8, end[1] - 10), color=SOFT, anchor="end"),
                f'<path d="M{curve}" fill="none" stroke="{ACCENT}" stroke-width="2"/>',
                *map(self._dot, self.points, self.labels),
            ]
        )

    def _at(self, point: Point) -> Point:
        wide, high = PANEL_WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
        across, up = self.across.place(point[0]), self.up.place(point[1])
        return self.left + LEFT + across * wide, TOP + (1 - up) * high

    def _middle(self) -> float:
        return self.left + (LEFT + PANEL_WIDTH - RIGHT) / 2

    def _line_at(self, tick: float) -> str:
        begin, end = self.left + LEFT - 6, self.left + PANEL_WIDTH - RIGHT + 6
        y = self._at((self.across.ticks[0], tick))[1]
        line = f'<path d="M{begin:g} {y:.1f} H{end:g}" stroke="{LINE}"/>'
        return line + words(f"{tick:,.0f}", (begin - 8, y + 4), color=SOFT, anchor="end")

    def _named_at(self, tick: float) -> str:
        x = self._at((tick, self.up.ticks[0]))[0]
        return words(f"{tick:,.0f}", (x, HEIGHT - BOTTOM + 20), color=SOFT)

    def _dot(self, point: Point, label: str) -> str:
        x, y = self._at(point)
        dot = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{DOT_PX:g}" fill="{ACCENT}"/>'
        # The label is below on the right, where a rising curve leaves room.
        return dot + words(label, (x + 8, y + 15), weight=600, anchor="start")


def read_document(name: str) -> Document:
    """Return the stored output of a benchmark."""
    document: Document = json.loads((MEASURED / f"{name}.json").read_text())
    return document


def curve(document: Document, name: str) -> list[Point]:
    """Return the points of a curve, from left to right.  Raises KeyError when there are none."""
    points = sorted(
        (figure["at"], figure["median"])
        for figure in document["figures"]
        if figure["name"] == name and figure["at"] is not None
    )
    if not points:
        raise KeyError(f"no curve named {name!r} was measured")
    return points


def efficiencies(points: Sequence[Point]) -> list[float]:
    """Return each point's share of linear scaling from the first point."""
    first, alone = points[0]
    return [value / (alone * at / first) for at, value in points]


def scaling(document: Document) -> str:
    """Return the curves of processes and of batches, as SVG."""
    slept = curve(document, "processes that sleep 200 ms")
    counted = curve(document, "stages that are claimed at once")
    alone = slept[0][1]
    goals = sorted(
        (figure["at"], figure["goal"]["value"])
        for figure in document["figures"]
        if figure["name"] == "stages that are claimed at once" and figure["goal"]
    )
    panels = (
        Panel(
            0,
            "A stage that sleeps for 200 ms",
            Axis([at for at, _ in slept], "worker processes"),
            Axis((4, 8, 16, 32, 64, 128, 256), "stages a second"),
            slept,
            [f"{100 * share:.0f} %" for share in efficiencies(slept)],
            [(at, alone * at) for at, _ in slept],
            "linear scaling",
        ),
        Panel(
            PANEL_WIDTH + 20,
            "A stage that takes no time",
            Axis([at for at, _ in counted], "stages that are claimed at once"),
            Axis(
                (0, 500, 1000, 1500, 2000, 2500, 3000, 3500, 4000),
                "stages a second",
                is_logarithmic=False,
            ),
            counted,
            [f"{value:,.0f}" for _, value in counted],
            goals,
            "goal",
        ),
    )
    return card(
        "Stages a second by worker processes, compared with linear scaling; and by the number of"
        " stages that are claimed at once, compared with the goals.",
        HEIGHT,
        "\n".join(panel.drawn() for panel in panels),
    )


def claims(document: Document) -> str:
    """Return the bars of claim times among few and many rows, as SVG."""
    rows = [
        ("10 ready, nothing else", "among many rows: nothing else there"),
        ("100,000 ready, 5 million finished", "among many rows"),
        ("the same, with a snapshot held", "among many rows, a snapshot held"),
    ]
    taken = [(title, dict(curve(document, name))) for title, name in rows]
    left, width = 320, 560
    most = max(times[99] for _, times in taken)
    parts = [words("A claim of one stage, ms", (30, 38), px=15, weight=600, anchor="start")]
    for row, (title, times) in enumerate(taken):
        top = 62 + row * 62
        parts.append(words(title, (left - 16, top + 24), px=13, anchor="end"))
        for line, (percent, fill) in enumerate(((50, ACCENT), (99, WASH))):
            y = top + line * (BAR_PX + 3)
            wide = width * times[percent] / most
            parts.append(
                f'<rect x="{left}" y="{y}" width="{wide:.1f}" height="{BAR_PX}" rx="4"'
                f' fill="{fill}" stroke="{ACCENT}" stroke-width="1"/>'
            )
            name = "median" if percent == 50 else "p99"  # noqa: PLR2004 - the median
            at = (left + wide + 10, y + BAR_PX - 5)
            parts.append(words(f"{times[percent]:.1f}  {name}", at, color=INK, anchor="start"))
    return card(
        "Time of a claim, median and 99th percentile, among few rows, among five million, and"
        " among five million with a snapshot held open.",
        62 + 62 * len(rows) + 10,
        "\n".join(parts),
    )


def card(description: str, height: int, parts: str) -> str:
    """Return a drawing on a light card; description: its alternative text."""
    width = 2 * PANEL_WIDTH + 40
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"'
        f' font-family="{FONT}" role="img" aria-label="{description}">\n'
        f'<rect x=".75" y=".75" width="{width - 1.5:g}" height="{height - 1.5:g}" rx="16"'
        f' fill="{CARD}" stroke="{LINE}" stroke-width="1.5"/>\n{parts}\n</svg>\n'
    )


if __name__ == "__main__":
    (FOLDER / "scaling.svg").write_text(scaling(read_document("scaling")))
    (FOLDER / "claims.svg").write_text(claims(read_document("claims")))
