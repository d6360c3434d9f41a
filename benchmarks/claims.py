"""Measure claims in a table of millions of rows, compared with claims in an empty table.

python -m benchmarks.claims [READY] [FINISHED] [HELD]

The table has READY ready rows (default 100,000) and FINISHED finished rows (default 5,000,000,
which take about ten minutes and 8 GB to write). Claims of one row are timed in both databases in
turn, so other load of the machine affects both. Each claimed row is then completed, untimed.
Afterwards a transaction with a snapshot stays open for HELD seconds (default 600) while claims and
completions continue, so vacuum cannot remove any dead row.

The last line of the output is stored as docs/measured/claims.json; docs/make_curves.py draws it.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import psycopg
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.engine import make_url

from benchmarks import copies, figures, fleet
from benchmarks.figures import Figure
from benchmarks.fleet import Servers
from smart_filter_shared.config.settings import DatabaseSettings
from smart_filter_shared.db import migrate, sessions
from smart_filter_shared.ids import JobId
from smart_filter_shared.pipeline import StageName
from smart_filter_tests.bench import Bench

# Names of the figures; docs/make_curves.py uses them.
AMONG_MANY, HELD = "among many rows", "among many rows, a snapshot held"
READY, FINISHED, HELD_SECONDS = 100_000, 5_000_000, 600.0
MOST_TIMES = 2.0
_STAGES = len(StageName)
_ROUNDS, _CLAIMS = 5, 500
_FEW = 10  # ready rows in the empty table, at most; writing them one by one takes longer
_P50, _P99 = 50, 99


@dataclass(frozen=True, slots=True)
class Table:
    """A database, and the job that its rows are copies of."""

    bench: Bench
    template: JobId


def measure(ready: int, finished: int, held_seconds: float) -> list[Figure]:
    """Fill one database, claim from it and from an empty one in turn, and return the times."""
    with fleet.run_servers() as servers, _second_bench(servers) as bench:
        full, empty = _fill_table(servers.bench, ready, finished), _open_table(bench)
        rounds = [_round(full, empty) for _ in range(_ROUNDS)]
        held = _measure_held(full, empty, held_seconds)
    return [
        *_figures(AMONG_MANY, rounds, goal=MOST_TIMES),
        *_figures(HELD, held, goal=None),
    ]


Round = tuple[list[float], list[float]]  # ms of each claim: full table, empty table


def _figures(name: str, rounds: list[Round], goal: float | None) -> Iterator[Figure]:
    for percent in (_P50, _P99):
        full = [figures.percentile(full_ms, percent) for full_ms, _ in rounds]
        empty = [figures.percentile(empty_ms, percent) for _, empty_ms in rounds]
        yield Figure(name=name, at=percent, unit="ms", samples=full)
        yield Figure(name=f"{name}: nothing else there", at=percent, unit="ms", samples=empty)
    times = [full_ms / empty_ms for full_ms, empty_ms in zip(full, empty, strict=True)]
    yield Figure(name=f"{name}: times that", at=percent, unit="×", samples=times, goal=goal)


def _fill_table(bench: Bench, ready: int, finished: int) -> Table:
    sys.stderr.write(f"writing {finished:,} finished rows …\n")
    copies.write_copies(bench.engine, copies.write_finished_job(bench), finished // _STAGES)
    table = _open_table(bench)
    copies.write_copies(bench.engine, table.template, ready)
    copies.vacuum_analyze(bench.engine)
    return table


def _open_table(bench: Bench) -> Table:
    engine = sessions.for_key_lookups(
        sessions.open_engine(bench.settings.database, connections=2)
    )  # like a worker's
    return Table(
        replace(bench, engine=engine, worker_engine=engine),
        copies.write_prepared_job(bench, [StageName.FACE]),
    )


def _round(full: Table, empty: Table) -> Round:
    times: Round = ([], [])
    for claim in range(_CLAIMS):
        if claim % _FEW == 0:
            copies.write_copies(empty.bench.engine, empty.template, _FEW)
        for table, samples in zip((full, empty), times, strict=True):
            samples.append(_claim_ms(table.bench))
    return times


def _measure_held(full: Table, empty: Table, seconds: float) -> list[Round]:
    """Return the claim times of the last rounds while a snapshot stays open."""
    ends_at = time.monotonic() + seconds
    rounds: list[Round] = []
    with _snapshot(full.bench), _snapshot(empty.bench):
        while time.monotonic() < ends_at or not rounds:
            rounds.append(_round(full, empty))
    return rounds[-_ROUNDS:]


def _claim_ms(bench: Bench) -> float:
    began = time.perf_counter()
    leases = bench.claim(StageName.FACE)
    samples = 1000 * (time.perf_counter() - began)
    bench.complete(*leases)
    return samples


@contextmanager
def _snapshot(bench: Bench) -> Iterator[None]:
    """Hold a snapshot on another connection: ours may not stay idle in a transaction."""
    url = make_url(bench.settings.database.url.get_secret_value()).set(drivername="postgresql")
    with psycopg.connect(url.render_as_string(hide_password=False)) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.execute("SELECT count(*) FROM sweeper")
        yield


@contextmanager
def _second_bench(servers: Servers) -> Iterator[Bench]:
    """Yield a bench on a second database of the same server."""
    bench = servers.bench
    with bench.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("CREATE DATABASE empty"))
    url = make_url(bench.settings.database.url.get_secret_value()).set(database="empty")
    database = DatabaseSettings(url=SecretStr(url.render_as_string(hide_password=False)))
    engine = sessions.open_engine(database, connections=2)
    try:
        migrate.upgrade(engine)
        settings = replace(bench.settings, database=database)
        yield replace(bench, settings=settings, engine=engine, worker_engine=engine)
    finally:
        engine.dispose()


if __name__ == "__main__":
    _given = [argument.replace(",", "") for argument in sys.argv[1:]]
    _defaults = [str(READY), str(FINISHED), str(HELD_SECONDS)]
    _ready, _finished, _held_seconds = [*_given, *_defaults[len(_given) :]]
    figures.print_figures(measure(int(_ready), int(_finished), float(_held_seconds)))
