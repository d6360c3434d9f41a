"""Run a whole stack, API and worker included, on a copy of a 40-day-old installation."""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
from sqlalchemy import text

from aged import old_installation
from smart_filter_api.auth import api_keys
from smart_filter_deploy.embedded.addresses import Addresses
from smart_filter_shared.ids import JobId, Tenant
from smart_filter_tests import aging
from smart_filter_tests.bench import Bench
from smart_filter_tests.full_stack import ENGINE, PHOTO, RunningStack, run_stack

DATABASE: Final = "smart_filter"
# After a key rotation: the first key seals new secrets, the previous key opens older ones.
SEALING_KEYS: Final = f"{'n' * 32},{old_installation.SEALING_KEY}"
# Leases that outlast a busy machine: no journey is about workers that die.
ENVIRONMENT: Final[Mapping[str, str]] = {
    **ENGINE,
    "SMART_FILTER_KEEP_RECORD_SECONDS": "0",
    "SMART_FILTER_LEASE_SECONDS": "20",
    "SMART_FILTER_HEARTBEAT_SECONDS": "2",
    "SMART_FILTER_SECRETS_KEY": SEALING_KEYS,
}
_COUNT_ON_ITS_DAY = """
    INSERT INTO usage (tenant, day, state, jobs, megapixels, model_seconds)
    SELECT tenant, CAST(finished_at AT TIME ZONE 'UTC' AS date), outcome, 1, 0, 0
    FROM jobs WHERE id = :id AND outcome IS NOT NULL
        AND id NOT IN (SELECT job_id FROM unsettled_jobs)
    ON CONFLICT (tenant, day, state) DO UPDATE SET jobs = usage.jobs + 1
"""


@dataclass(frozen=True, slots=True)
class AgedStack:
    """A stack, operator actions on it, and the bench on its servers.

    folder: the stack's data folder.
    """

    running: RunningStack
    bench: Bench
    folder: Path

    @property
    def client(self) -> httpx.Client:
        """The operator's own tenant, which keeps photos and results for 60 days."""
        return self.running.client

    @contextmanager
    def client_of(self, tenant: Tenant) -> Iterator[httpx.Client]:
        with self.bench.transaction() as connection:
            scopes = [api_keys.Scope.SUBMIT, api_keys.Scope.READ, api_keys.Scope.ADMIN]
            key = api_keys.issue(connection, tenant=tenant, scopes=scopes).key
        with old_installation.client_of(str(self.client.base_url), key) as client:
            yield client

    def run_job(self, *, ago: int = 0, **fields: str) -> dict[str, Any]:
        """Submit the photo, wait for its end and make the job `ago` days older; return the job."""
        job = self.running.wait(self.running.submit(PHOTO.read_bytes(), **fields))
        return self.running.job(str(self.age_job(job["id"], ago))) if ago else job

    def age_job(self, job_id: str, ago: int) -> JobId:
        """Make a job `ago` days older; return its new id."""
        older = self.bench.do(aging.age_jobs, [job_id], number=ago)[0]
        # A sweep may have counted the job before it was moved.
        self.bench.execute(_COUNT_ON_ITS_DAY, id=older)
        return older

    def until(self, query: str, **values: object) -> None:
        """Wait until a query returns true; fail after a time limit."""
        self.running.until(lambda: bool(self.scalar(query, **values)))

    def scalar(self, query: str, **values: object) -> Any:  # noqa: ANN401 - of any column
        with self.bench.transaction() as connection:
            return connection.scalar(text(query), values)

    def sample(self, tenant: Tenant, condition: str, *, ago: int, most: int = 1) -> Sequence[str]:
        """Return ids of a tenant's jobs that are at least `ago` days old."""
        with self.bench.transaction() as connection:
            ids = connection.scalars(
                text(f"""
                    SELECT id FROM jobs WHERE tenant = :tenant AND {condition}
                        AND created_at < statement_timestamp() - make_interval(days => :ago)
                    ORDER BY id DESC LIMIT :most
                """),
                {"tenant": tenant, "ago": ago, "most": most},
            ).all()
        assert len(ids) == most
        return [str(uuid.UUID(str(id_))) for id_ in ids]


@contextmanager
def aged_stack(folder: Path, weights: Path) -> Iterator[AgedStack]:
    """Run API and worker on a copy of the template database, which this call fills."""

    def filled(addresses: Addresses) -> Mapping[str, str]:
        old_installation.fill(addresses, folder)
        old_installation.copy_to(addresses, DATABASE)
        return {}

    with ExitStack() as held:
        stack = held.enter_context(run_stack(folder, weights, ENVIRONMENT, detour=filled))
        bench = held.enter_context(
            old_installation.a_bench(
                stack.stack.addresses, DATABASE, folder, sealing_keys=SEALING_KEYS
            )
        )
        yield AgedStack(stack, bench, folder)
