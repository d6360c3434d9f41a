"""Claims among very many rows, beside claims in a table that holds nothing else.

python -m benchmarks.claims [READY] [FINISHED] [HELD]

READY rows wait (100,000 when nothing is said) and FINISHED ones lie beside them (5,000,000: about
ten minutes and 8 GB to write). Claims of one row are timed in both databases in turn, so that
what else the machine does meets both; each claimed row is completed, untimed. Then a transaction
that has looked once stays open for HELD seconds (600), so that no dead row can be cleaned up,
while claims and completions go on.

Its last line is what docs/measured/claims.json holds, of which docs/make_curves.py draws a curve.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import psycopg
from sqlalchemy import text
from sqlalchemy.engine import make_url

from benchmarks import copies, figures, fleet
from benchmarks.figures import Figure
from benchmarks.fleet import Servers
from smart_filter_shared.db import migrate, sessions
from smart_filter_shared.ids import JobId
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.settings import DatabaseSettings
from smart_filter_tests.bench import Bench

# Names of what is claimed from.
AMONG_MANY, HELD = "among many rows", "among many rows, a snapshot held"
READY, FINISHED, HELD_SECONDS = 100_000, 5_000_000, 600.0
MOST_TIMES = 2.0
_STAGES = len(StageName)
_ROUNDS, _CLAIMS = 5, 500
_FEW = 10  # rows that wait in the empty table, at most: to write them one by one takes longer
_P50, _P99 = 50, 99


@dataclass(frozen=True, slots=True)
class Table:
    """A database, and a job of which it has copies."""

    bench: Bench
    template: JobId


def measure(ready: int, finished: int, held_seconds: float) -> list[Figure]:
    """Fill one database, and claim from it and from an empty one in turn."""
    with fleet.servers() as servers, _another(servers) as bench:
        full, empty = _filled(servers.bench, ready, finished), _empty(bench)
        rounds = [_round(full, empty) for _ in range(_ROUNDS)]
        held = _held(full, empty, held_seconds)
    return [
        *_figures(AMONG_MANY, rounds, goal=MOST_TIMES),
        *_figures(HELD, held, goal=None),
    ]


Round = tuple[list[float], list[float]]  # ms of each claim: full table, empty table


def _figures(name: str, rounds: list[Round], goal: float | None) -> Iterator[Figure]:
    for percent in (_P50, _P99):
        full = [figures.percentile(one, percent) for one, _ in rounds]
        empty = [figures.percentile(one, percent) for _, one in rounds]
        yield Figure(name=name, at=percent, unit="ms", samples=full)
        yield Figure(name=f"{name}: nothing else there", at=percent, unit="ms", samples=empty)
    times = [much / little for much, little in zip(full, empty, strict=True)]
    yield Figure(name=f"{name}: times that", at=percent, unit="×", samples=times, goal=goal)


def _filled(bench: Bench, ready: int, finished: int) -> Table:
    sys.stderr.write(f"writing {finished:,} finished rows …\n")
    copies.write(bench.engine, copies.finished(bench), finished // _STAGES)
    table = _empty(bench)
    copies.write(bench.engine, table.template, ready)
    copies.settle(bench.engine)
    return table


def _empty(bench: Bench) -> Table:
    engine = sessions.by_key(sessions.engine(bench.settings.database, connections=2))  # as workers
    return Table(replace(bench, engine=engine), copies.prepared(bench, [StageName.FACE]))


def _round(full: Table, empty: Table) -> Round:
    times: Round = ([], [])
    for claim in range(_CLAIMS):
        if claim % _FEW == 0:
            copies.write(empty.bench.engine, empty.template, _FEW)
        for table, taken in zip((full, empty), times, strict=True):
            taken.append(_claim_ms(table.bench))
    return times


def _held(full: Table, empty: Table, seconds: float) -> list[Round]:
    """Return what claims took towards the end of a snapshot's life."""
    ends_at = time.monotonic() + seconds
    rounds: list[Round] = []
    with _snapshot(full.bench), _snapshot(empty.bench):
        while time.monotonic() < ends_at or not rounds:
            rounds.append(_round(full, empty))
    return rounds[-_ROUNDS:]


def _claim_ms(bench: Bench) -> float:
    begun = time.perf_counter()
    leases = bench.claim(StageName.FACE)
    taken = 1000 * (time.perf_counter() - begun)
    bench.complete(*leases)
    return taken


@contextmanager
def _snapshot(bench: Bench) -> Iterator[None]:
    """Hold a snapshot: a connection beside ours, whose transactions may not idle."""
    url = make_url(bench.settings.database.url.get_secret_value()).set(drivername="postgresql")
    with psycopg.connect(url.render_as_string(hide_password=False)) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.execute("SELECT count(*) FROM cells")
        yield


@contextmanager
def _another(servers: Servers) -> Iterator[Bench]:
    """Give a bench on a second database of the same server."""
    bench = servers.bench
    with bench.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("CREATE DATABASE empty"))
    url = make_url(bench.settings.database.url.get_secret_value()).set(database="empty")
    database = DatabaseSettings(url=url.render_as_string(hide_password=False))
    engine = sessions.engine(database, connections=2)
    try:
        migrate.upgrade(engine)
        yield replace(bench, settings=replace(bench.settings, database=database), engine=engine)
    finally:
        engine.dispose()


if __name__ == "__main__":
    _given = [float(one.replace(",", "")) for one in sys.argv[1:]]
    _ready, _finished_rows, _held_for = (
        *_given,
        *(READY, FINISHED, HELD_SECONDS)[len(_given) :],
    )
    figures.tell(measure(int(_ready), int(_finished_rows), _held_for))
