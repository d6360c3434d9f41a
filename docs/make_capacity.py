"""Draw the curves of docs/capacity.md: `python docs/make_capacity.py`, into docs/images.

Reads the results of `benchmarks.capacity` and `benchmarks.validation`.
Each curve has a light card of its own, as the diagrams do; lengths are px.
"""
# ruff: noqa: INP001 - a script, not a package

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.capacity import answers, fleet, sizing, validation
from benchmarks.capacity.answers import Answers, SpikeResult
from benchmarks.capacity.fleet import Figures
from make_diagrams import CARD, FOLDER, FONT, INK, LINE, SOFT, escape, words

# Told apart in gray too, and by those who see no red or no green. Source: Okabe & Ito 2008.
COLORS: Final = ("#c23a15", "#0072b2", "#009e73", "#8f6a00", "#8a4f7d", "#5f554c")
WIDTH, TOP, BOTTOM, LEFT, RIGHT = 980, 64, 56, 66, 130
# Which rules are drawn, of those in the table.
CROWDS: Final = (1, 2, 3, 5)
Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Axis:
    """What a length stands for.  ticks: values and what is said of them."""

    says: str
    least: float
    most: float
    ticks: Sequence[tuple[float, str]]
    is_log: bool = False

    def part(self, value: float) -> float:
        """Return how far along the axis a value is, 0 to 1."""
        least, most, at = (self._scaled(number) for number in (self.least, self.most, value))
        return (at - least) / (most - least)

    def _scaled(self, value: float) -> float:
        return math.log10(value) if self.is_log else value


@dataclass(frozen=True, slots=True)
class Curve:
    """A line through points, and its name at its end.  is_dashed: it was foretold."""

    name: str
    points: Sequence[Point]
    color: str
    is_dashed: bool = False


@dataclass(frozen=True, slots=True)
class Panel:
    """Curves over one pair of axes.  has_list: names stand above, not where lines end."""

    title: str
    across: Axis
    up: Axis
    curves: Sequence[Curve]
    has_list: bool = False

    def drawn(self, left: float, top: float, width: float, height: float) -> str:
        """Return it as SVG, in a rectangle."""

        def place(point: Point) -> Point:
            x = left + width * self.across.part(point[0])
            return x, top + height * (1 - self.up.part(point[1]))

        parts = [words(self.title, (left, top - 34), px=15, weight=600, anchor="start")]
        parts.append(words(self.up.says, (left, top - 14), color=SOFT, anchor="start"))
        for value, says in self.up.ticks:
            _, y = place((self.across.least, value))
            parts.append(_line((left, y), (left + width, y)))
            parts.append(words(says, (left - 8, y + 4), color=SOFT, anchor="end"))
        for value, says in self.across.ticks:
            x, y = place((value, self.up.least))
            parts.append(_line((x, y), (x, y + 5)))
            parts.append(words(says, (x, y + 20), color=SOFT))
        parts.append(words(self.across.says, (left + width / 2, top + height + 42), color=SOFT))
        parts += [self._curve(curve, place) for curve in self.curves]
        right = left + width
        names = self._list(right, top) if self.has_list else self._names(place, right)
        return "".join([*parts, *names])

    def _curve(self, curve: Curve, place: Callable[[Point], Point]) -> str:
        path = " L".join("{:.1f} {:.1f}".format(*place(point)) for point in curve.points)
        dashes = ' stroke-dasharray="6 4"' if curve.is_dashed else ""
        return (
            f'<path d="M{path}" fill="none" stroke="{curve.color}" stroke-width="2.25"'
            f' stroke-linejoin="round" stroke-linecap="round"{dashes}/>'
        )

    def _names(self, place: Callable[[Point], Point], right: float) -> list[str]:
        """Write names next to the ends of lines, without overlaps."""
        told = [curve for curve in self.curves if curve.name]
        wanted = sorted(
            ((place(curve.points[-1])[1], curve) for curve in told), key=lambda curve: curve[0]
        )
        names, last = [], -math.inf
        for y, curve in wanted:
            last = max(y + 4, last + 17)
            at = (right + 10, last)
            names.append(words(curve.name, at, color=curve.color, weight=600, anchor="start"))
        return names

    def _list(self, right: float, top: float) -> list[str]:
        """Write names one below the other in the upper right, each with a piece of its line."""
        parts = []
        for row, curve in enumerate(self.curves):
            y = top + 14 + 18 * row
            line = Curve("", [(right - 200, y), (right - 172, y)], curve.color)
            parts.append(self._curve(line, lambda point: point))
            parts.append(words(curve.name, (right - 164, y + 4), anchor="start"))
        return parts


def main() -> None:
    """Draw all of them."""
    measured, figures = answers.read_answers(), fleet.read_figures()
    _gpus(figures)
    _p95(measured)
    _crowd(measured)
    _validated()


def _gpus(figures: Figures) -> None:
    rates = [10 ** (power / 20) for power in range(20, 61)]
    curves = []
    for color, kind in zip(COLORS, figures.kinds, strict=True):
        points = [(rate, float(sizing.size_fleet(figures, kind, rate).gpus)) for rate in rates]
        curves.append(Curve(kind, points, color))
    across = Axis(
        "photos a second",
        rates[0],
        rates[-1],
        [(10, "10"), (100, "100"), (1000, "1,000")],
        is_log=True,
    )
    ticks = [(1.0, "1"), (10.0, "10"), (100.0, "100"), (1000.0, "1,000")]
    up = Axis("GPUs", 0.8, 300, ticks[:-1], is_log=True)
    told = "GPUs needed from 10 to 1,000 photos a second grow in proportion: " + ", ".join(
        f"{kind} {curve.points[-1][1]:,.0f} at the end"
        for kind, curve in zip(figures.kinds, curves, strict=True)
    )
    _save("capacity-gpus", 440, told, [Panel("GPUs that a load needs", across, up, curves)])


def _p95(measured: Answers) -> None:
    curves = [
        Curve(
            f"{at_rate.rate:,.0f} photos/s",
            [(100 * load, p95) for load, _, p95 in at_rate.points],
            color,
        )
        for color, at_rate in zip(COLORS, measured.curves, strict=False)
    ]
    highest = max(p95 for curve in curves for _, p95 in curve.points)
    across = Axis(
        "utilisation of the busiest pool, %", 30, 95, [(x, f"{x}") for x in range(30, 100, 10)]
    )
    up = Axis(
        "p95, seconds", 0, math.ceil(highest), [(y, f"{y}") for y in range(math.ceil(highest) + 1)]
    )
    told = (
        "p95 rises slowly up to 80 % of utilisation and steeply from there, in small pools sooner"
    )
    title = f"How long photos take, {answers.KIND}s sized for this many a second"
    _save("capacity-p95", 440, told, [Panel(title, across, up, curves)])


def _crowd(measured: Answers) -> None:
    chosen: list[tuple[str, str, SpikeResult]] = [
        (_told(crowd), color, crowd)
        for color, crowd in zip(
            COLORS, (measured.crowds[number] for number in CROWDS), strict=False
        )
    ]
    across = Axis(
        "minutes since the crowd began to come; it ends after 15",
        -2,
        30,
        [(x, f"{x}") for x in range(0, 31, 5)],
    )
    thousands = [
        Curve(name, [(at / 60, rows / 1000) for at, rows, _ in crowd.moments], color)
        for name, color, crowd in chosen
    ]
    most = 5 * math.ceil(max(y for curve in thousands for _, y in curve.points) / 5)
    rows = Axis("rows, thousands", 0, most, [(y, f"{y}") for y in range(0, most + 1, 5)])
    gpus = [
        Curve("", [(at / 60, float(gpus)) for at, _, gpus in crowd.moments], color)
        for _, color, crowd in chosen
    ]
    ticks = [(1.0, "1"), (10.0, "10"), (100.0, "100"), (1000.0, "1,000")]
    told = (
        "Rows wait for the first three minutes under every rule but that of GPUs that are always"
        " there; where a thousand may be ordered, they come when the queue is nearly gone"
    )
    panels = [
        Panel("Ten times as many photos: what waits", across, rows, thousands, has_list=True),
        Panel("GPUs that are ready", across, Axis("GPUs", 1, 1000, ticks, is_log=True), gpus),
    ]
    _save("capacity-crowd", 760, told, panels)


def _told(crowd: SpikeResult) -> str:
    rule = crowd.rule
    if rule.least == rule.most:
        return f"{rule.most} always there"
    return f"{rule.least} to {rule.most:,} GPUs"


def _validated() -> None:
    panels = []
    for name, title in (
        ("alone", "One photo at a time"),
        ("fours", "Segmentation in batches of up to four"),
    ):
        curves = []
        some = [
            each for each in validation.read_comparisons() if each.fleet == name and each.load < 1
        ]
        for color, each in zip(COLORS, some, strict=False):
            for told, is_dashed in ((each.seen, False), (each.foretold, True)):
                points = [(percent + 1.0, one_s) for percent, one_s in enumerate(told.percentiles)]
                curves.append(
                    Curve("" if is_dashed else f"load {each.load:g}", points, color, is_dashed)
                )
        highest = math.ceil(2 * max(y for curve in curves for _, y in curve.points)) / 2
        ticks = [(y / 2, f"{y / 2:g}") for y in range(int(2 * highest) + 1)]
        across = Axis(
            "percent of jobs that took at most so long",
            0,
            100,
            [(x, f"{x}") for x in range(0, 101, 10)],
        )
        panels.append(
            Panel(title, across, Axis("seconds; dashed: foretold", 0, highest, ticks), curves)
        )
    told = "How long jobs took at three loads, seen and foretold: the lines lie on each other"
    _save("capacity-validated", 760, told, panels)


def _line(begin: Point, end: Point) -> str:
    return (
        f'<path d="M{begin[0]:.1f} {begin[1]:.1f} L{end[0]:.1f} {end[1]:.1f}" fill="none"'
        f' stroke="{LINE}" stroke-width="1"/>'
    )


def _save(name: str, height: float, told: str, panels: Sequence[Panel]) -> None:
    each = height / len(panels)
    drawn = [
        panel.drawn(LEFT, TOP + each * row, WIDTH - LEFT - RIGHT, each - TOP - BOTTOM)
        for row, panel in enumerate(panels)
    ]
    (FOLDER / f"{name}.svg").write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:g}"'
        f' font-family="{FONT}" fill="{INK}" role="img" aria-label="{escape(told)}">\n'
        f'<rect x=".75" y=".75" width="{WIDTH - 1.5:g}" height="{height - 1.5:g}" rx="16"'
        f' fill="{CARD}" stroke="{LINE}" stroke-width="1.5"/>\n' + "\n".join(drawn) + "\n</svg>\n"
    )


if __name__ == "__main__":
    main()
