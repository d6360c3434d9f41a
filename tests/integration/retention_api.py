"""Jobs whose every stage stores an object, and the garbage collector that removes them."""

import datetime as dt
from dataclasses import dataclass

import httpx
from sqlalchemy import text

from smart_filter_shared.artifacts.retention import ArtifactKind
from smart_filter_shared.jobs.photo_queue import WORKER
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.queue.leases import StageOutcome
from smart_filter_shared.storage import keys
from smart_filter_tests.bench import TENANT
from smart_filter_tests.serving import Api
from smart_filter_tests.stages import COMPOSITE
from smart_filter_tests.stored_results import FACTS
from smart_filter_workers.maintenance.garbage_collector import GarbageCollector

MINUTE, HOUR, DAY = 60, 3600, 24 * 3600
PICTURE = b"a picture" * 50_000


@dataclass(frozen=True, slots=True)
class RetentionApi:
    """The API, and the garbage collector over the same servers."""

    api: Api
    retention: GarbageCollector

    def finish_job(self, picture: bytes = PICTURE) -> str:
        """Submit a photo and complete every stage; each stage stores an object."""
        job_id = self.api.submit(outputs="image,faces")
        for stage in StageName:
            self.run(stage, picture if stage == COMPOSITE else b"made")
        return job_id

    def run(self, stage: StageName, made: bytes = PICTURE) -> None:
        lease = self.api.bench.claim_one(stage)
        ends = stage == COMPOSITE
        key = keys.artifact(TENANT, lease.job_id, stage, lease.token, "image.png")
        self.api.bench.store.put(key, made, length=len(made), media_type="image/png")
        file = {"key": key, "media_type": "image/png", "width": 48, "height": 32, "format": "png"}
        files = {"image": {**file, "bytes": len(made)}} if ends else {}
        result = {"facts": FACTS[stage], "arrays": {}, "files": files}
        kind = ArtifactKind.RESULT if ends else ArtifactKind.INTERMEDIATE
        self.api.bench.work(WORKER.complete, [StageOutcome(lease, result, 0.1, {key: kind})])

    def pass_time(self, *, seconds: float) -> None:
        """Make everything stored `seconds` older, and collect garbage."""
        with self.api.bench.transaction() as connection:
            for change in (
                "artifacts SET expires_at = expires_at - make_interval(secs => :s)",
                "jobs SET expires_at = expires_at - make_interval(secs => :s)",
            ):
                connection.execute(text(f"UPDATE {change}"), {"s": seconds})
        self.retention.remove_expired()

    def bucket(self, job_id: str) -> list[str]:
        """Return which objects of a job are stored: the names of stages, or `photo`."""
        paths = (entry.key.split("/") for entry in self.api.bench.store.stored())
        return sorted(parts[3].partition(".")[0] for parts in paths if parts[2] == job_id)

    def fetch(self, job_id: str, name: str, **query: str) -> httpx.Response:
        return self.api.client.get(f"/v1/jobs/{job_id}/outputs/{name}", params=query)

    def download(self, job_id: str, *names: str) -> None:
        """Fetch outputs; return once the delivery is recorded, which follows the last byte."""
        for name in names:
            assert self.fetch(job_id, name).status_code == 200
        self.wait_until_recorded(job_id, *names)

    def wait_until_recorded(self, job_id: str, *names: str) -> None:
        """Wait until the delivery of outputs is recorded."""
        for _ in range(10_000):
            if set(self.recorded_outputs(job_id)) >= set(names):
                return
        raise AssertionError(f"of {names} only {self.recorded_outputs(job_id)} are noted")

    def recorded_outputs(self, job_id: str) -> list[str]:
        """Return which outputs of a job are recorded as delivered."""
        return self.row("SELECT handed_over FROM jobs WHERE id = :id", job_id)  # type: ignore[return-value]  # texts

    def row(self, query: str, job_id: str) -> object:
        """Return the single value of a query about a job."""
        return self.api.bench.scalar(query, id=job_id)

    def rows(self, table: str, job_id: str) -> int:
        """Return the number of a table's rows about a job."""
        return int(str(self.row(f"SELECT count(*) FROM {table} WHERE job_id = :id", job_id)))


def retention_seconds(job: dict[str, str]) -> float:
    """Return how long a job's answer promises to keep results after its end, in seconds."""
    ended, expires = (
        dt.datetime.fromisoformat(job[name]) for name in ("finished_at", "expires_at")
    )
    return (expires - ended).total_seconds()
