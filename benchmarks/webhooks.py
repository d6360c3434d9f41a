"""Webhooks: what a look at what is due costs, however much waits for one receiver.

python -m benchmarks.webhooks
"""

import tempfile
import time
from pathlib import Path

from pydantic import SecretStr
from sqlalchemy import Engine, text

from benchmarks import figures
from smart_filter_deploy.embedded.folder import DataFolder
from smart_filter_deploy.embedded.stack import Stack
from smart_filter_shared.db import migrate, sessions
from smart_filter_shared.jobs import deliveries
from smart_filter_shared.settings import DatabaseSettings

BACKLOG, LANES = 100_000, 1000
ROUNDS = 20

_WRITE = text("""
    INSERT INTO deliveries (id, tenant, webhook, lane, type, happened_at, due_at)
    SELECT gen_random_uuid(), 'bench', 'default', :lane || number % :lanes, 'job.failed', now(),
        now() + make_interval(hours => :hours)
    FROM generate_series(1, :count) AS number
""")


def measure() -> list[figures.Figure]:
    """Return how long a look takes with nothing, a backlog of one lane, and many lanes besides."""
    with tempfile.TemporaryDirectory(prefix="smart-filter-bench-") as made:
        folder = Path(made)
        folder.chmod(0o711)  # as root PostgreSQL is another user, who must pass
        with Stack(DataFolder.at(folder / "data")) as stack:
            settings = DatabaseSettings(url=SecretStr(stack.addresses.database_url))
            engine = sessions.engine(settings, connections=2)
            try:
                migrate.upgrade(engine)
                found = [_looks(engine, "nothing waits")]
                _write(engine, BACKLOG, lane="one", lanes=1, hours=0)
                found.append(_looks(engine, f"{BACKLOG} are due in one lane"))
                _write(engine, 5 * LANES, lane="other", lanes=LANES, hours=1)
                found.append(_looks(engine, f"and {LANES} lanes wait for later"))
            finally:
                engine.dispose()
    return found


def _write(engine: Engine, count: int, *, lane: str, lanes: int, hours: int) -> None:
    given = {"count": count, "lane": lane, "lanes": lanes, "hours": hours}
    with sessions.transaction(engine) as connection:
        connection.execute(_WRITE, given)
        connection.execute(text("ANALYZE deliveries"))


def _looks(engine: Engine, name: str) -> figures.Figure:
    samples = []
    for _ in range(ROUNDS):
        with sessions.transaction(engine) as connection:
            began = time.perf_counter()
            deliveries.claim(connection, most=64, few=4, lease_seconds=60)
            samples.append(1000 * (time.perf_counter() - began))
            connection.rollback()  # so that the next one finds the same
    return figures.Figure(name=f"a look, {name}", unit="ms", samples=samples)


if __name__ == "__main__":
    figures.tell(measure())
