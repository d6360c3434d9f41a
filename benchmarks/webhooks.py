"""Measure a claim of due webhook deliveries, with and without a large backlog for one receiver.

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
from smart_filter_shared.config.settings import DatabaseSettings
from smart_filter_shared.db import migrate, sessions
from smart_filter_shared.webhooks import outbox

BACKLOG, LANES = 100_000, 1000
ROUNDS = 20

_WRITE = text("""
    INSERT INTO deliveries (id, tenant, webhook, lane, type, happened_at, due_at)
    SELECT gen_random_uuid(), 'bench', 'default', :lane || number % :lanes, 'job.failed', now(),
        now() + make_interval(hours => :hours)
    FROM generate_series(1, :count) AS number
""")


def measure() -> list[figures.Figure]:
    """Return the time of a claim with no delivery, a backlog in one lane, and many more lanes."""
    with tempfile.TemporaryDirectory(prefix="smart-filter-bench-") as made:
        folder = Path(made)
        folder.chmod(0o711)  # as root PostgreSQL is another user, who must pass
        with Stack(DataFolder.at(folder / "data")) as stack:
            settings = DatabaseSettings(url=SecretStr(stack.addresses.database_url))
            engine = sessions.open_engine(settings, connections=2)
            try:
                migrate.upgrade(engine)
                results = [_measure_claims(engine, "nothing waits")]
                _write(engine, BACKLOG, lane="one", lanes=1, hours=0)
                results.append(_measure_claims(engine, f"{BACKLOG} are due in one lane"))
                _write(engine, 5 * LANES, lane="other", lanes=LANES, hours=1)
                results.append(_measure_claims(engine, f"and {LANES} lanes wait for later"))
            finally:
                engine.dispose()
    return results


def _write(engine: Engine, count: int, *, lane: str, lanes: int, hours: int) -> None:
    values = {"count": count, "lane": lane, "lanes": lanes, "hours": hours}
    with sessions.transaction(engine) as connection:
        connection.execute(_WRITE, values)
        connection.execute(text("ANALYZE deliveries"))


def _measure_claims(engine: Engine, name: str) -> figures.Figure:
    samples = []
    for _ in range(ROUNDS):
        with sessions.transaction(engine) as connection:
            began = time.perf_counter()
            outbox.claim(connection, most=64, few=4, each=256, at_host=16, lease_seconds=60)
            samples.append(1000 * (time.perf_counter() - began))
            connection.rollback()  # so the next round finds the same rows
    return figures.Figure(name=f"a look, {name}", unit="ms", samples=samples)


if __name__ == "__main__":
    figures.print_figures(measure())
