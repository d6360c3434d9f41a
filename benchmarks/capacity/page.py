"""Write the tables of docs/capacity.md from the answers, the figures and the validation."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from benchmarks.capacity import answers, validation
from benchmarks.capacity.answers import Answers
from benchmarks.capacity.fleet import BROKER, DATABASE, GETS, NETWORK, PUTS, Figures
from benchmarks.capacity.sizing import Plan
from benchmarks.capacity.validation import Comparison

PAGE: Final = Path(__file__).parents[2] / "docs" / "capacity.md"
_PLACE: Final = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
_COMMAND: Final = re.compile(r"python -m [\w.]+")
_P50, _P95 = 50, 95
_SECONDS_PER_MINUTE: Final = 60

Rows = Sequence[Sequence[str]]


def render_page(text: str, figures: Figures, found: Answers, compared: Sequence[Comparison]) -> str:
    """Return the page with its tables replaced.  Raises KeyError for an unknown table."""
    tables: Mapping[str, Callable[[], Rows]] = {
        "servers": lambda: _servers(figures),
        "needs": lambda: _needs(figures, found),
        "costs": lambda: _costs(figures, found),
        "parts": lambda: _parts(found),
        "cells": lambda: _cells(found),
        "crowds": lambda: _crowds(found),
        "validated": lambda: _validated(compared),
        "sources": lambda: _sources(figures),
    }
    return _PLACE.sub(
        lambda place: f"{place[1]}{_markdown(tables[place[2]]())}\n{place[3]}",
        text,
    )


def write_page(figures: Figures, found: Answers) -> None:
    """Replace the tables of the page."""
    PAGE.write_text(render_page(PAGE.read_text(), figures, found, validation.read_comparisons()))


def _markdown(rows: Rows) -> str:
    head, *body = rows
    lines = [head, ["---"] * len(head), *body]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _servers(figures: Figures) -> Rows:
    database = figures.measured["database"]
    asks = {
        DATABASE: f"{1000 * figures.database_seconds:.0f} ms of a core"
        f" ({1000 * figures.batched_database_seconds:.0f} when stages are claimed in eights),"
        f" {database['statements']} statements, {database['commits']} commits,"
        f" {database['log_kilobytes']} KB of its log",
        BROKER: f"{1000 * figures.broker_seconds:.1f} ms of its one thread",
        GETS: f"{figures.gets} requests",
        PUTS: f"{figures.puts} requests",
        NETWORK: f"{figures.megabytes:.0f} MB",
    }
    bears = {
        DATABASE: f"{figures.measured['database_server']['cores']} cores",
        BROKER: "one thread",
        GETS: f"{figures.measured['storage']['gets_per_second']:,} a second, of one prefix",
        PUTS: f"{figures.measured['storage']['puts_per_second']:,} a second, of one prefix",
        NETWORK: f"{figures.measured['network']['gigabits_per_second']} Gbit/s",
    }
    rows = sorted(figures.saturation.items(), key=lambda item: item[1])
    return [
        ("shared by a cell", "one photo asks for", "there is", "saturated by, photos/s"),
        *((name, asks[name], bears[name], f"{rate:,.0f}") for name, rate in rows),
    ]


def _needs(figures: Figures, found: Answers) -> Rows:
    return [
        ("photos/s", "cells", "cores", *figures.kinds),
        *(
            (
                f"{rate:,.0f}",
                str(plans[0].fleet.cells),
                f"{plans[0].fleet.cores + plans[0].fleet.api_cores:,}",
                *(f"{one.fleet.gpus:,} ({one.p95:.2f})" for one in plans),
            )
            for rate, plans in _by_rate(found).items()
        ),
    ]


def _costs(figures: Figures, found: Answers) -> Rows:
    by_rate = _by_rate(found)
    return [
        ("dollars", *figures.kinds),
        *(
            (
                f"a month at {rate:,.0f} photos/s",
                *(_thousands(sum(one.monthly.values())) for one in plans),
            )
            for rate, plans in by_rate.items()
        ),
        *(
            (
                f"a million photos at {rate:,.0f}",
                *(f"{one.dollars_per_million:,.0f}" for one in plans),
            )
            for rate, plans in by_rate.items()
        ),
    ]


def _parts(found: Answers) -> Rows:
    [one] = [plan for plan in _by_rate(found)[answers.RATES[-1]] if plan.fleet.kind == answers.KIND]
    dollars = sum(one.monthly.values())
    return [
        (f"of a month at {one.rate:,.0f} photos/s, {answers.KIND}", "dollars", "share"),
        *(
            (what, _thousands(part), f"{100 * part / dollars:.0f} %")
            for what, part in one.monthly.items()
        ),
    ]


def _cells(found: Answers) -> Rows:
    return [
        (
            *("cells", "photos/s of each", "busiest shared server", f"GPUs ({answers.KIND})"),
            *("p95", "dollars a month", "lost with one cell"),
        ),
        *(
            (
                str(one.fleet.cells),
                f"{one.rate / one.fleet.cells:,.0f}",
                _busiest(one),
                f"{one.fleet.gpus:,}",
                f"{one.p95:.2f} s",
                _thousands(sum(one.monthly.values())),
                f"{100 / one.fleet.cells:.0f} %",
            )
            for one in found.cells
        ),
    ]


def _busiest(plan: Plan) -> str:
    shared = {name: plan.busy[name] for name in (DATABASE, BROKER, NETWORK, GETS, PUTS)}
    name, busy = max(shared.items(), key=lambda item: item[1])
    return f"{name}, {100 * busy:.0f} %"


def _crowds(found: Answers) -> Rows:
    return [
        (
            *("GPUs, least to most", "rows for each", "p95, first 5 min", "p95, last 5 min"),
            *("queue gone after", "most there were", "GPU hours"),
        ),
        *(
            (
                f"{one.rule.least} to {one.rule.most:,}",
                str(one.rule.rows_per_worker),
                _seconds(one.first_p95),
                _seconds(one.last_p95),
                f"{one.over / _SECONDS_PER_MINUTE:.0f} min",
                f"{one.most:,}",
                f"{one.hours:.0f}",
            )
            for one in found.crowds
        ),
    ]


def _validated(compared: Sequence[Comparison]) -> Rows:
    return [
        (
            *("a worker takes", "load", "jobs", "jobs/s: seen, foretold", "p50, s"),
            *("p95, s", "off by", "at other times"),
        ),
        *(
            (
                {"alone": "one", "fours": "up to four"}[one.fleet],
                f"{one.load:g}",
                f"{one.jobs:,}",
                f"{one.seen.rate:.2f}, {one.foretold.rate:.2f}",
                *(
                    f"{one.seen.percentiles[percent - 1]:.2f}, "
                    f"{one.foretold.percentiles[percent - 1]:.2f}"
                    for percent in (_P50, _P95)
                ),
                f"{round(one.p95_off_percent):+d} %",
                f"{one.others_p95[0]:.2f}–{one.others_p95[-1]:.2f}",
            )
            for one in compared
        ),
    ]


def _sources(figures: Figures) -> Rows:
    every = {**figures.measured, "prices": figures.prices}
    return [
        ("figures", "source", "by"),
        *(
            (name.replace("_", " "), str(one["source"]), _COMMAND.sub(r"`\g<0>`", str(one["by"])))
            for name, one in every.items()
        ),
    ]


def _by_rate(found: Answers) -> dict[float, list[Plan]]:
    rates = dict.fromkeys(one.rate for one in found.plans)
    return {rate: [one for one in found.plans if one.rate == rate] for rate in rates}


def _thousands(dollars: float) -> str:
    return f"{dollars / 1000:,.0f} k" if dollars >= 10_000 else f"{dollars / 1000:,.1f} k"  # noqa: PLR2004 - two digits


def _seconds(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"  # noqa: PLR2004 - two digits
