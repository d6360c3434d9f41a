"""Measure objects a second that retention removes, and its load on database and object store.

python -m benchmarks.retention [OBJECTS [KEPT]]

OBJECTS artifacts (default 6,000) have expired, six a photo, among KEPT ones (default 200,000) that
have not. The first case marks, claims and deletes rows alone, the second removes objects alone. In
the last two, one GarbageCollector removes both, or two share the work. Processor time is given per
thousand objects, because other load changes it less than the rate. The goal of 3,600 objects a
second corresponds to 600 photos a second.
"""

import sys
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import text

from benchmarks import figures, fleet
from benchmarks.figures import Figure
from benchmarks.fleet import Servers
from smart_filter_shared.artifacts import retention
from smart_filter_shared.ids import new_job_id
from smart_filter_shared.storage import keys
from smart_filter_tests.bench import TENANT
from smart_filter_workers.maintenance.garbage_collector import GarbageCollector

OBJECTS, KEPT = 6_000, 200_000
_A_PHOTO = 6
_PAGE = 1_000
_ROUNDS = 3
_GOAL = 600 * _A_PHOTO
_PROCESSES = ("postgres", "s3")


def measure(objects: int, kept: int) -> list[Figure]:
    """Remove `objects` objects in each of the four cases, in rounds; return the figures."""
    with fleet.run_servers() as servers:
        _write_rows(servers, _names(kept), "statement_timestamp() + interval '1 day'")
        with servers.bench.transaction() as connection:
            connection.execute(text("ANALYZE artifacts"))
        # These objects stay, so the folders of day and tenant stay too.
        _store(servers, _names(_A_PHOTO))
        results: list[Figure] = []
        results += _measure_removal(servers, "rows alone", objects, _remove_rows, has_objects=False)
        results += _measure_removal(
            servers, "objects alone", objects, _remove_objects, has_rows=False
        )
        results += _measure_removal(
            servers, "one process", objects, lambda at, _: _remove_both(at, 1)
        )
        results += _measure_removal(
            servers, "two processes", objects, lambda at, _: _remove_both(at, 2)
        )
        return results


def _measure_removal(
    servers: Servers,
    name: str,
    objects: int,
    remove: Callable[[Servers, Sequence[str]], None],
    *,
    has_rows: bool = True,
    has_objects: bool = True,
) -> list[Figure]:
    speeds: list[float] = []
    times: dict[str, list[float]] = {each: [] for each in (*_PROCESSES, "client")}
    for _ in range(_ROUNDS):
        names = _names(objects)
        if has_objects:
            _store(servers, names)
        if has_rows:
            _write_rows(servers, names, "statement_timestamp() - interval '1 hour'")
        spent = {process: -servers.processor_seconds(process) for process in _PROCESSES}
        spent["client"] = -time.process_time()
        started = time.perf_counter()
        remove(servers, names)
        speeds.append(objects / (time.perf_counter() - started))
        spent["client"] += time.process_time()
        for each in _PROCESSES:
            spent[each] += servers.processor_seconds(each)
        for each, seconds in spent.items():
            times[each].append(1e6 * seconds / objects)
    return [
        Figure(
            name=f"{name}: objects a second",
            unit="/s",
            samples=speeds,
            goal=_GOAL,
            kind="at least",
        ),
        *(
            Figure(name=f"{name}: {time}, per 1,000", unit="ms", samples=times[time])
            for time in times
        ),
    ]


def _names(count: int) -> list[str]:
    """Return object keys like those of a day of photos."""
    return [
        f"{keys.job_prefix(TENANT, job_id)}/composite/{uuid.uuid4()}/made"
        for job_id in (new_job_id() for _ in range(count // _A_PHOTO))
        for _ in range(_A_PHOTO)
    ]


def _store(servers: Servers, names: Sequence[str]) -> None:
    # rclone refuses some parallel writes to a folder that is just created or removed.
    def put(first: int) -> None:
        for key in names[first : first + _A_PHOTO]:
            servers.bench.store.put(key, b"bytes", length=5, media_type="image/jpeg")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(put, range(0, len(names), _A_PHOTO)))


def _write_rows(servers: Servers, names: Sequence[str], expires_at: str) -> None:
    with servers.bench.transaction() as connection:
        connection.execute(
            text(f"""
                INSERT INTO artifacts (tenant, key, job_id, kind, expires_at)
                SELECT :tenant, key, CAST(split_part(key, '/', 3) AS uuid), 'result', {expires_at}
                FROM unnest(CAST(:keys AS text[])) AS key
            """),
            {"tenant": TENANT, "keys": list(names)},
        )


def _remove_rows(servers: Servers, _: Sequence[str]) -> None:
    while True:
        with servers.bench.transaction() as connection:
            retention.mark_expired(connection, most=_PAGE)
            claimed = retention.claim(connection, most=_PAGE)
        if not claimed:
            return
        with servers.bench.transaction() as connection:
            retention.delete_rows(connection, claimed)


def _remove_objects(servers: Servers, names: Sequence[str]) -> None:
    for first in range(0, len(names), _PAGE):
        servers.bench.store.remove_many(names[first : first + _PAGE])


def _remove_both(servers: Servers, processes: int) -> None:
    bench = servers.bench

    def work(collector: GarbageCollector) -> None:
        while collector.remove_expired():
            pass

    collectors = [GarbageCollector(bench.engine, bench.store) for _ in range(processes)]
    with ThreadPoolExecutor(processes) as pool:
        list(pool.map(work, collectors))


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[1:]]
    figures.print_figures(measure(*[*numbers, *(OBJECTS, KEPT)[len(numbers) :]]))
