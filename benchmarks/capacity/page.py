"""Write the tables of docs/capacity.md from the answers and the figures."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from benchmarks.capacity.answers import KIND, Answers
from benchmarks.capacity.fleet import (
    BROKER,
    DATABASE,
    GETS,
    NETWORK,
    NO_GPU,
    PUTS,
    Figures,
)
from benchmarks.capacity.sizing import Plan

PAGE: Final = Path(__file__).parents[2] / "docs" / "capacity.md"
_PLACE: Final = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
_SECONDS_PER_MINUTE: Final = 60

Rows = Sequence[Sequence[str]]


def render_page(text: str, figures: Figures, answers: Answers) -> str:
    """Return the page with its tables replaced.  Raises KeyError for an unknown table."""
    tables: Mapping[str, Callable[[], Rows]] = {
        "servers": lambda: _servers(figures),
        "default": lambda: _default(figures, answers),
        "needs": lambda: _needs(figures, answers),
        "costs": lambda: _costs(figures, answers),
        "crowds": lambda: _crowds(answers),
    }
    return _PLACE.sub(
        lambda place: f"{place[1]}{_markdown(tables[place[2]]())}\n{place[3]}",
        text,
    )


def write_page(figures: Figures, answers: Answers) -> None:
    """Replace the tables of the page."""
    PAGE.write_text(render_page(PAGE.read_text(), figures, answers))


def _markdown(rows: Rows) -> str:
    head, *body = rows
    lines = [head, ["---"] * len(head), *body]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _servers(figures: Figures) -> Rows:
    load = figures.load(KIND)
    database = load.database
    asks = {
        DATABASE: f"{1000 * load.database_seconds:.0f} ms of a core"
        f" ({1000 * figures.batched_database_seconds:.0f} when stages are claimed in eights),"
        f" {database['statements']} statements, {database['commits']} commits,"
        f" {database['log_kilobytes']} KB of its log",
        BROKER: f"{1000 * figures.broker_seconds:.1f} ms of its one thread",
        GETS: f"{load.gets} requests",
        PUTS: f"{load.puts} requests",
        NETWORK: f"{load.megabytes:.1f} MB",
    }
    bears = {
        DATABASE: f"{figures.measured['database_server']['cores']} cores",
        BROKER: "one thread",
        GETS: f"{figures.measured['storage']['gets_per_second']:,} a second, of one prefix",
        PUTS: f"{figures.measured['storage']['puts_per_second']:,} a second, of one prefix",
        NETWORK: f"{figures.measured['network']['gigabits_per_second']} Gbit/s",
    }
    rows = sorted(figures.saturation(KIND).items(), key=lambda item: item[1])
    return [
        ("shared by a cell", "one photo asks for", "there is", "saturated by, photos/s"),
        *((name, asks[name], bears[name], f"{rate:,.0f}") for name, rate in rows),
    ]


def _default(figures: Figures, answers: Answers) -> Rows:
    load = figures.load(NO_GPU)
    return [
        (
            *(
                "photos/s",
                "cells",
                "workers of 2 cores",
                "cores of the API",
                "p95",
                "rows written/s",
            ),
            *("WAL, MB/s", "requests to S3/s", "dollars a month", "dollars for 1,000 photos"),
        ),
        *(
            (
                f"{plan.rate:,.0f}",
                str(plan.fleet.cells),
                f"{plan.fleet.cores // figures.cores_per_worker:,}",
                f"{plan.fleet.api_cores:,}",
                f"{plan.p95:.2f} s",
                f"{plan.rate * load.database['rows']:,.0f}",
                f"{plan.rate * load.database['log_kilobytes'] / 1000:,.1f}",
                f"{plan.rate * (load.gets + load.puts):,.0f}",
                _thousands(sum(plan.monthly.values())),
                f"{plan.dollars_per_million / 1000:.3f}",
            )
            for plan in answers.plans
            if plan.fleet.kind == NO_GPU
        ),
    ]


def _needs(figures: Figures, answers: Answers) -> Rows:
    return [
        ("photos/s", "cells", "cores", *figures.kinds),
        *(
            (
                f"{rate:,.0f}",
                str(plans[0].fleet.cells),
                f"{plans[0].fleet.cores + plans[0].fleet.api_cores:,}",
                *(f"{plan.fleet.gpus:,} ({plan.p95:.2f})" for plan in plans),
            )
            for rate, plans in _by_rate(answers).items()
        ),
    ]


def _costs(figures: Figures, answers: Answers) -> Rows:
    by_rate = _by_rate(answers)
    return [
        ("dollars", *figures.kinds),
        *(
            (
                f"a month at {rate:,.0f} photos/s",
                *(_thousands(sum(plan.monthly.values())) for plan in plans),
            )
            for rate, plans in by_rate.items()
        ),
        *(
            (
                f"a million photos at {rate:,.0f}",
                *(f"{plan.dollars_per_million:,.0f}" for plan in plans),
            )
            for rate, plans in by_rate.items()
        ),
    ]


def _crowds(answers: Answers) -> Rows:
    return [
        (
            *("GPUs, least to most", "rows for each", "p95, first 5 min", "p95, last 5 min"),
            *("queue gone after", "most there were", "GPU hours"),
        ),
        *(
            (
                f"{crowd.rule.least} to {crowd.rule.most:,}",
                str(crowd.rule.rows_per_worker),
                _seconds(crowd.first_p95),
                _seconds(crowd.last_p95),
                f"{crowd.over / _SECONDS_PER_MINUTE:.0f} min",
                f"{crowd.most:,}",
                f"{crowd.hours:.0f}",
            )
            for crowd in answers.crowds
        ),
    ]


def _by_rate(answers: Answers) -> dict[float, list[Plan]]:
    plans = [plan for plan in answers.plans if plan.fleet.kind != NO_GPU]
    rates = dict.fromkeys(plan.rate for plan in plans)
    return {rate: [plan for plan in plans if plan.rate == rate] for rate in rates}


def _thousands(dollars: float) -> str:
    return f"{dollars / 1000:,.0f} k" if dollars >= 10_000 else f"{dollars / 1000:,.1f} k"  # noqa: PLR2004 - two digits


def _seconds(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"  # noqa: PLR2004 - two digits
