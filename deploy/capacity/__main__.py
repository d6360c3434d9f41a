"""The answers as tables, and as data for the figures: `python -m capacity [--json]`."""

import json
import sys
from collections.abc import Sequence
from typing import Final

import click
from rich.console import Console
from rich.table import Table

from capacity import autoscale, fleet, sizing
from capacity.autoscale import Spike
from capacity.fleet import CPU, GPU, Figures
from capacity.sizing import Plan

RATES: Final = (10.0, 100.0, 5000.0)
SPIKE_KIND: Final = "L4"
SPIKE_RATE, SPIKE_TIMES = 10.0, 10.0
WAITS_SECONDS: Final = (10.0, 30.0, 60.0)
_WIDTH: Final = 110


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One document of JSON, for the figures.")
def main(*, as_json: bool) -> None:
    """Say what loads need, what they cost, and what a sudden crowd meets: a minute or two."""
    figures = fleet.read()
    plans = [sizing.plan(figures, kind, rate) for rate in RATES for kind in figures.gpus]
    spikes = {
        wait: autoscale.spike(
            figures, SPIKE_KIND, rate=SPIKE_RATE, times=SPIKE_TIMES, wait_seconds=wait
        )
        for wait in WAITS_SECONDS
    }
    if as_json:
        json.dump(_document(figures, plans, spikes), sys.stdout)
        return
    console = Console(highlight=False, width=_WIDTH)
    console.print(_saturation(figures))
    console.print(_plans(plans))
    console.print(_spikes(spikes))


def _saturation(figures: Figures) -> Table:
    table = _table("One cell bears at most", ("shared server", "photos/s"))
    for name, rate in sorted(figures.saturation.items(), key=lambda item: item[1]):
        table.add_row(name, f"{rate:,.0f}")
    return table


def _plans(plans: Sequence[Plan]) -> Table:
    columns = ("photos/s", "GPU", "GPUs", "cores", "cells", "p50 s", "p95 s", "$/month")
    table = _table("What a load needs", (*columns, "$/million photos"))
    for one in plans:
        table.add_row(
            *(f"{one.rate:,.0f}", one.kind, f"{one.gpus:,}", f"{one.cores:,}", str(one.cells)),
            *(f"{one.p50:.2f}", f"{one.p95:.2f}", f"{one.dollars:,.0f}"),
            f"{one.dollars_per_million:,.0f}",
        )
    return table


def _spikes(spikes: dict[float, Spike]) -> Table:
    title = f"{SPIKE_TIMES:g} × {SPIKE_RATE:g} photos/s for 15 minutes, {SPIKE_KIND}"
    columns = ("rows may wait", "p95 of the first 5 min", "of the last 5", "most GPUs")
    table = _table(title, (*columns, "GPU hours", "most cores"))
    for wait, one in spikes.items():
        first = one.percentile(95, since=one.begins, until=one.begins + 300)
        last = one.percentile(95, since=one.ends - 300, until=one.ends)
        table.add_row(
            *(f"{wait:g} s", f"{first:.0f} s", f"{last:.0f} s", f"{one.most(GPU):,}"),
            *(f"{one.hours(GPU):.1f}", f"{one.most(CPU):,}"),
        )
    return table


def _table(title: str, columns: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="dim")
    for column in columns:
        table.add_column(column, justify="left" if column == columns[0] else "right")
    return table


def _document(
    figures: Figures, plans: Sequence[Plan], spikes: dict[float, Spike]
) -> dict[str, object]:
    return {
        "saturation": dict(figures.saturation),
        "plans": [
            {
                "rate": one.rate,
                "kind": one.kind,
                "gpus": one.gpus,
                "cores": one.cores,
                "cells": one.cells,
                "p50": one.p50,
                "p95": one.p95,
                "monthly": dict(one.monthly),
            }
            for one in plans
        ],
        "spikes": {
            f"{wait:g}": [
                {"at": one.at, "waiting": one.waiting[GPU], "workers": one.workers[GPU]}
                for one in spike.moments
            ]
            for wait, spike in spikes.items()
        },
    }


if __name__ == "__main__":
    main()
