"""Measure frequent statements with many days of finished jobs, compared with none.

python -m benchmarks.days [DAYS …]

For each number of days (0, 30 and 180 by default) a separate database has that many past days, with
FINISHED rows in each day and in today. A claim of one row, its completion, a submission and a look
at a job are timed in all databases in turn, so other load of the machine affects all of them. The
CPU time of a completion is that of its PostgreSQL process, which other load changes little.
"""

import datetime as dt
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import SecretStr
from sqlalchemy import Connection, text
from sqlalchemy.engine import make_url

from benchmarks import copies, figures, fleet
from benchmarks.figures import Figure
from benchmarks.fleet import Servers
from smart_filter_shared.config.settings import DatabaseSettings
from smart_filter_shared.db import migrate, partitions, sessions
from smart_filter_shared.ids import JobId
from smart_filter_shared.pipeline import StageName
from smart_filter_tests.bench import Bench

DAYS = (0, 30, 180)
FINISHED = 1_000
_ROUNDS, _CLAIMS = 5, 300
_FEW = 10  # ready rows, at most
_P50, _P99 = 50, 99
_NS_PER_MS = 1_000_000


@dataclass(frozen=True, slots=True)
class DaysDatabase:
    """A database with past days, and the job that its rows are copies of.

    bench: claims and completes on one connection, as a worker does.  process: process id of that
    connection in PostgreSQL.  client: submits and reads, with connections like the API's.
    """

    days: int
    bench: Bench
    client: Bench
    template: JobId
    process: int


def measure(numbers: Sequence[int]) -> list[Figure]:
    """Fill a database for each number of days, run all statements in turn, and return the times."""
    with fleet.run_servers() as servers, ExitStack() as stack:
        databases = [stack.enter_context(_with_days(servers, number)) for number in numbers]
        rounds = [_round(databases) for _ in range(_ROUNDS)]
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


def _round(databases: Sequence[DaysDatabase]) -> tuple[dict[str, list[float]], dict[int, float]]:
    """Return the times of each call, and the CPU time of all completions by days, in ms."""
    times: dict[str, list[float]] = defaultdict(list)
    cpu: dict[int, float] = defaultdict(float)
    for claim in range(_CLAIMS):
        for database in databases:
            if claim % _FEW == 0:
                copies.write_copies(database.client.engine, database.template, _FEW)
            started = time.perf_counter()
            leases = database.bench.claim(StageName.FACE)
            cpu_before = _cpu_ms(database.process)
            claimed = time.perf_counter()
            database.bench.complete(*leases)
            completed = time.perf_counter()
            cpu[database.days] += _cpu_ms(database.process) - cpu_before
            job_id = database.client.submit()
            submitted = time.perf_counter()
            database.client.job(job_id)
            read = time.perf_counter()
            for what, seconds in (
                ("claim", claimed - started),
                ("completion", completed - claimed),
                ("submission", submitted - completed),
                ("look at a job", read - submitted),
            ):
                times[f"{what}, {database.days} days"].append(1000 * seconds)
    return times, cpu


def _cpu_ms(process: int) -> float:
    """Return the CPU time that a process has used.

    Source: proc_pid_schedstat in the kernel's sched-stats.rst; its first field is in nanoseconds.
    """
    return int(Path(f"/proc/{process}/schedstat").read_text().split()[0]) / _NS_PER_MS


@contextmanager
def _with_days(servers: Servers, number: int) -> Iterator[DaysDatabase]:
    bench = servers.bench
    name = f"days_{number}"
    with bench.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    url = make_url(bench.settings.database.url.get_secret_value()).set(database=name)
    database = DatabaseSettings(url=SecretStr(url.render_as_string(hide_password=False)))
    # Like a worker's connection.
    engine = sessions.for_key_lookups(sessions.open_engine(database, connections=1))
    plain = sessions.open_engine(database, connections=2)
    try:
        migrate.upgrade(plain)
        settings = replace(bench.settings, database=database)
        copied = replace(bench, settings=settings, engine=engine, worker_engine=engine)
        client = replace(copied, engine=plain)
        if number:
            with sessions.transaction(plain) as connection:
                _make_past(connection, number)
        _fill(client, number)
        with sessions.transaction(engine) as connection:
            partitions.refresh_views(connection)
            process = connection.scalar(text("SELECT pg_backend_pid()"))
        template = copies.write_prepared_job(client, [StageName.FACE])
        copies.vacuum_analyze(plain)
        yield DaysDatabase(number, copied, client, template, process)
    finally:
        engine.dispose()
        plain.dispose()


def _make_past(connection: Connection, number: int) -> None:
    """Replace the first partition, which is still empty, by past days."""
    today = partitions.today(connection)
    for table in partitions.TABLES:
        first = f"{table}_{partitions.until_suffix(today + dt.timedelta(days=7))}"
        connection.execute(text(f"DROP TABLE {first}"))
    for back in range(1, number + 1):
        partitions.create_day(connection, today - dt.timedelta(days=back))
    partitions.create_upcoming(connection)


def _fill(bench: Bench, number: int) -> None:
    """Write finished jobs for today and for every past day."""
    finished = copies.write_finished_job(bench)
    copies.write_copies(bench.engine, finished, (1 + number) * FINISHED // len(StageName))
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
        for table, key in partitions.TABLES.items():
            connection.execute(
                text(f"""
                    UPDATE {table} SET {key} = moved FROM spread
                    WHERE {table}.{key} = spread.id
                """)
            )


if __name__ == "__main__":
    figures.print_figures(measure([int(days) for days in sys.argv[1:]] or DAYS))
