"""Record what each statement of an engine costs: the locks that it takes, the pages that it reads.

A cost is read from the statement's own session at the next statement, or before the commit.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, Engine, event, text

# The relations whose pages are counted.
_RELATIONS: Final = text("""
    WITH tables AS (SELECT unnest(ARRAY['jobs', 'stages', 'ended_stages'])::regclass AS id)
    SELECT CAST(id AS oid) FROM tables
    UNION SELECT indexrelid FROM pg_index JOIN tables ON indrelid = tables.id
""")
_COST: Final = """
    SELECT (
            SELECT count(DISTINCT relation) FROM pg_locks
            WHERE pid = pg_backend_pid() AND locktype = 'relation'
        ),
        (SELECT sum(pg_stat_get_xact_blocks_fetched(id)) FROM unnest(CAST(%s AS oid[])) AS id)
"""


@dataclass(frozen=True, slots=True)
class Cost:
    """locks: on relations, that the statement added.  pages: of jobs and stages, read or cached."""

    locks: int
    pages: int


@dataclass(slots=True)
class CostLog:
    """The largest cost of each statement, by its text."""

    costs: dict[str, Cost] = field(default_factory=dict)

    @property
    def pages(self) -> int:
        """The pages of all statements."""
        return sum(cost.pages for cost in self.costs.values())

    def over(self, *, locks: int) -> dict[str, int]:
        """Return the statements that took more locks than this, and how many."""
        return {text: cost.locks for text, cost in self.costs.items() if cost.locks > locks}


@contextmanager
def record_costs(bench_engine: Engine, *engines: Engine) -> Iterator[CostLog]:
    """Record the statements of engines while the block lasts.

    bench_engine: of the owner of the tables; not recorded unless it is one of the engines.
    """
    with bench_engine.connect() as connection:
        relations = list(connection.scalars(_RELATIONS))
    log = CostLog()
    running: dict[int, tuple[str, Cost]] = {}

    def read(connection: Connection) -> Cost:
        cursor = connection.connection.cursor()
        cursor.execute(_COST, [relations], prepare=False)  # type: ignore[call-arg]  # psycopg's
        locks, pages = cursor.fetchall()[0]
        return Cost(int(locks), int(pages or 0))

    def end(connection: Connection) -> None:
        last = running.pop(id(connection), None)
        if last is None:
            return
        statement, before = last
        now = read(connection)
        known = log.costs.get(statement, Cost(0, 0))
        log.costs[statement] = Cost(
            max(known.locks, now.locks - before.locks), max(known.pages, now.pages - before.pages)
        )

    def begin(connection: Connection, _: Any, statement: str, *_more: Any) -> None:  # noqa: ANN401
        end(connection)
        running[id(connection)] = statement, read(connection)

    for engine in engines:
        event.listen(engine, "before_cursor_execute", begin)
        event.listen(engine, "commit", end)
    try:
        yield log
    finally:
        for engine in engines:
            event.remove(engine, "before_cursor_execute", begin)
            event.remove(engine, "commit", end)
