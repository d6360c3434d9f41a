"""What hot statements take over many days of finished jobs, beside none.

python -m benchmarks.days [DAYS …]

For each number of days (0, 30 and 180 by default) a database of its own has that many past days,
with FINISHED rows in each and in today. Then a claim of one row, its completion, a submission and
a look at a job are timed in all databases in turn, so that all of them meet the same load of the
machine. The CPU time of a completion is that of its PostgreSQL process, which the load changes
little.
"""

import datetime as dt
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import Connection, text
from sqlalchemy.engine import make_url

from benchmarks import copies, figures, fleet
from benchmarks.figures import Figure
from benchmarks.fleet import Servers
from smart_filter_shared.db import days, migrate, sessions
from smart_filter_shared.ids import JobId
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.settings import DatabaseSettings
from smart_filter_tests.bench import Bench

DAYS = (0, 30, 180)
FINISHED = 1_000
_ROUNDS, _CLAIMS = 5, 300
_FEW = 10  # rows that wait, at most
_P50, _P99 = 50, 99
_NS_PER_MS = 1_000_000


@dataclass(frozen=True, slots=True)
class Kept:
    """A database with past days, and the job that its rows are copies of.

    bench: claims and completes, with the one connection of a worker.  process: that connection's
    in PostgreSQL.  client: submits and looks, with a connection as the API has them.
    """

    days: int
    bench: Bench
    client: Bench
    template: JobId
    process: int


def measure(numbers: Sequence[int]) -> list[Figure]:
    """Fill a database for each number of days, and claim from all of them in turn."""
    with fleet.servers() as servers, ExitStack() as stack:
        kept = [stack.enter_context(_with_days(servers, number)) for number in numbers]
        rounds = [_round(kept) for _ in range(_ROUNDS)]
    walls = [wall for wall, _ in rounds]
    return [
        *(
            Figure(
                name=f"{what}, p{part}",
                unit="ms",
                samples=[figures.percentile(times[what], part) for times in walls],
            )
            for what in sorted(walls[0])
            for part in (_P50, _P99)
        ),
        *(
            Figure(
                name=f"completion, PostgreSQL CPU, {number} days",
                unit="ms",
                samples=[cpu[number] / _CLAIMS for _, cpu in rounds],
            )
            for number in numbers
        ),
    ]


def _round(kept: Sequence[Kept]) -> tuple[dict[str, list[float]], dict[int, float]]:
    """Return what each call took, and the CPU time of all completions by days, in ms."""
    times: dict[str, list[float]] = defaultdict(list)
    cpu: dict[int, float] = defaultdict(float)
    for claim in range(_CLAIMS):
        for one in kept:
            if claim % _FEW == 0:
                copies.write(one.client.engine, one.template, _FEW)
            begun = time.perf_counter()
            leases = one.bench.claim(StageName.FACE)
            worked = _cpu_ms(one.process)
            claimed = time.perf_counter()
            one.bench.complete(*leases)
            completed = time.perf_counter()
            cpu[one.days] += _cpu_ms(one.process) - worked
            job_id = one.client.submit()
            submitted = time.perf_counter()
            one.client.job(job_id)
            looked = time.perf_counter()
            for what, seconds in (
                ("claim", claimed - begun),
                ("completion", completed - claimed),
                ("submission", submitted - completed),
                ("look at a job", looked - submitted),
            ):
                times[f"{what}, {one.days} days"].append(1000 * seconds)
    return times, cpu


def _cpu_ms(process: int) -> float:
    """Return the CPU time that a process has used.

    Source: proc_pid_schedstat in the kernel's sched-stats.rst; its first field is in nanoseconds.
    """
    return int(Path(f"/proc/{process}/schedstat").read_text().split()[0]) / _NS_PER_MS


@contextmanager
def _with_days(servers: Servers, number: int) -> Iterator[Kept]:
    bench = servers.bench
    name = f"days_{number}"
    with bench.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    url = make_url(bench.settings.database.url.get_secret_value()).set(database=name)
    database = DatabaseSettings(url=url.render_as_string(hide_password=False))
    # As workers have them.
    engine = sessions.by_key(sessions.engine(database, connections=1))
    plain = sessions.engine(database, connections=2)
    try:
        migrate.upgrade(plain)
        own = replace(bench, settings=replace(bench.settings, database=database), engine=engine)
        client = replace(own, engine=plain)
        if number:
            with sessions.transaction(plain) as connection:
                _make_past(connection, number)
        _fill(client, number)
        with sessions.transaction(engine) as connection:
            days.look(connection)
            process = connection.scalar(text("SELECT pg_backend_pid()"))
        template = copies.prepared(client, [StageName.FACE])
        copies.settle(plain)
        yield Kept(number, own, client, template, process)
    finally:
        engine.dispose()
        plain.dispose()


def _make_past(connection: Connection, number: int) -> None:
    """Put days in the place of the first partition, which holds nothing yet."""
    today = days.today(connection)
    for table in days.TABLES:
        first = f"{table}_{days.until(today + dt.timedelta(days=7))}"
        connection.execute(text(f"DROP TABLE {first}"))
    for back in range(1, number + 1):
        days.make(connection, today - dt.timedelta(days=back))
    days.make_ahead(connection)


def _fill(bench: Bench, number: int) -> None:
    """Write finished jobs of today and of every past day."""
    finished = copies.finished(bench)
    copies.write(bench.engine, finished, (1 + number) * FINISHED // len(StageName))
    with bench.transaction() as connection:
        connection.execute(text("UPDATE jobs SET settled = true"))
        connection.execute(
            text("""
                CREATE TEMP TABLE spread ON COMMIT DROP AS
                SELECT id, uuidv7(make_interval(days => -CAST(
                    row_number() OVER (ORDER BY id) % (1 + :number) AS int
                ))) AS moved
                FROM jobs
            """),
            {"number": number},
        )
        for table, key in days.TABLES.items():
            connection.execute(
                text(f"""
                    UPDATE {table} SET {key} = moved FROM spread
                    WHERE {table}.{key} = spread.id
                """)
            )


if __name__ == "__main__":
    figures.tell(measure([int(one) for one in sys.argv[1:]] or DAYS))
