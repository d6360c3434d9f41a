"""How many objects a second retention removes, and what that takes of database and object store.

python -m benchmarks.retention [OBJECTS [KEPT]]

OBJECTS (6,000 when nothing is said) artifacts have expired, six a photo, among KEPT (200,000) that
have not. First their rows alone are marked, claimed and deleted; then objects alone are removed;
then both together by one Retention, and by two that share the work. Processor time is given per
thousand objects: it depends less on what else the machine does than objects a second do. 600 photos
a second are 3,600 objects.
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
from smart_filter_shared.ids import new_job_id
from smart_filter_shared.jobs import retention
from smart_filter_shared.jobs.presence import CELL
from smart_filter_shared.storage import keys
from smart_filter_tests.bench import TENANT
from smart_filter_workers.retention import Retention

OBJECTS, KEPT = 6_000, 200_000
_A_PHOTO = 6
_PAGE = 1_000
_ROUNDS = 3
_GOAL = 600 * _A_PHOTO
_PROCESSES = ("postgres", "s3")


def measure(objects: int, kept: int) -> list[Figure]:
    """Remove the given number of objects, in each of the four ways, in rounds."""
    with fleet.servers() as servers:
        _write_rows(servers, _names(kept), "statement_timestamp() + interval '1 day'")
        with servers.bench.transaction() as connection:
            connection.execute(text("ANALYZE artifacts"))
        # Keeps the folders of day and tenant there.
        _store(servers, _names(_A_PHOTO))
        found: list[Figure] = []
        found += _timed(servers, "rows alone", objects, _remove_rows, stores=False)
        found += _timed(servers, "objects alone", objects, _remove_objects, rows=False)
        found += _timed(servers, "one process", objects, lambda at, _: _remove_both(at, 1))
        found += _timed(servers, "two processes", objects, lambda at, _: _remove_both(at, 2))
        return found


def _timed(
    servers: Servers,
    name: str,
    objects: int,
    remove: Callable[[Servers, Sequence[str]], None],
    *,
    rows: bool = True,
    stores: bool = True,
) -> list[Figure]:
    speeds: list[float] = []
    times: dict[str, list[float]] = {one: [] for one in (*_PROCESSES, "client")}
    for _ in range(_ROUNDS):
        names = _names(objects)
        if stores:
            _store(servers, names)
        if rows:
            _write_rows(servers, names, "statement_timestamp() - interval '1 hour'")
        spent = {one: -servers.processor_seconds(one) for one in _PROCESSES}
        spent["client"] = -time.process_time()
        begun = time.perf_counter()
        remove(servers, names)
        speeds.append(objects / (time.perf_counter() - begun))
        spent["client"] += time.process_time()
        for one in _PROCESSES:
            spent[one] += servers.processor_seconds(one)
        for one, seconds in spent.items():
            times[one].append(1e6 * seconds / objects)
    return [
        Figure(
            name=f"{name}: objects a second",
            unit="/s",
            samples=speeds,
            goal=_GOAL,
            kind="at least",
        ),
        *(Figure(name=f"{name}: {one}, per 1,000", unit="ms", samples=times[one]) for one in times),
    ]


def _names(count: int) -> list[str]:
    """Return keys as a day of photos has them."""
    return [
        f"{keys.job(TENANT, job_id)}/composite/{uuid.uuid4()}/made"
        for job_id in (new_job_id() for _ in range(count // _A_PHOTO))
        for _ in range(_A_PHOTO)
    ]


def _store(servers: Servers, names: Sequence[str]) -> None:
    # rclone refuses some of what is stored at the same time in a folder that comes or goes.
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
            retention.forget(connection, claimed)


def _remove_objects(servers: Servers, names: Sequence[str]) -> None:
    for first in range(0, len(names), _PAGE):
        servers.bench.store.remove_many(names[first : first + _PAGE])


def _remove_both(servers: Servers, processes: int) -> None:
    bench = servers.bench

    def work(keeper: Retention) -> None:
        while keeper.remove_expired():
            pass

    keepers = [Retention(bench.engine, bench.store, cell=CELL) for _ in range(processes)]
    with ThreadPoolExecutor(processes) as pool:
        list(pool.map(work, keepers))


if __name__ == "__main__":
    asked = [int(one) for one in sys.argv[1:]]
    figures.tell(measure(*[*asked, *(OBJECTS, KEPT)[len(asked) :]]))
