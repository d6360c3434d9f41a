"""A house: jobs whose every stage stores something, and who removes what is kept no longer."""

import datetime as dt
from dataclasses import dataclass

import httpx
from sqlalchemy import text

from smart_filter_shared.jobs import transitions
from smart_filter_shared.jobs.leases import Done
from smart_filter_shared.jobs.retention import Kind
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.storage import keys
from smart_filter_tests.bench import KEEPING, TENANT
from smart_filter_tests.deriving import FACTS
from smart_filter_tests.serving import Api
from smart_filter_workers.retention import Retention

PREPARE, SEGMENTATION, FACE, SMILE, COMPOSITE = StageName
MINUTE, HOUR, DAY = 60, 3600, 24 * 3600
PICTURE = b"a picture" * 50_000


@dataclass(frozen=True, slots=True)
class House:
    """The API, and who removes what is kept no longer."""

    api: Api
    retention: Retention

    def finished(self, picture: bytes = PICTURE) -> str:
        """Submit a photo and take it all the way; every stage stores an object."""
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
        kind = Kind.RESULT if ends else Kind.INTERMEDIATE
        self.api.bench.do(transitions.complete, [Done(lease, result, 0.1, {key: kind})], KEEPING)

    def pass_time(self, *, seconds: float) -> None:
        """Let all that there is be so much older, and sweep."""
        with self.api.bench.transaction() as connection:
            for change in (
                "artifacts SET expires_at = expires_at - make_interval(secs => :s)",
                "jobs SET expires_at = expires_at - make_interval(secs => :s)",
            ):
                connection.execute(text(f"UPDATE {change}"), {"s": seconds})
        self.retention.remove_expired()

    def bucket(self, job_id: str) -> list[str]:
        """Return what lies in the bucket of a job: the names of stages, or `photo`."""
        found = (one.key.split("/") for one in self.api.bench.store.stored())
        return sorted(parts[3] for parts in found if parts[2] == job_id)

    def fetch(self, job_id: str, name: str, **query: str) -> httpx.Response:
        return self.api.client.get(f"/v1/jobs/{job_id}/outputs/{name}", params=query)

    def hand_over(self, job_id: str, *names: str) -> None:
        """Fetch outputs; return when that is noted, which is after the last byte was sent."""
        for name in names:
            assert self.fetch(job_id, name).status_code == 200
        self.noted(job_id, *names)

    def noted(self, job_id: str, *names: str) -> None:
        """Return when it is noted that outputs were fetched."""
        for _ in range(10_000):
            if set(self.handed_over(job_id)) >= set(names):
                return
        raise AssertionError(f"of {names} only {self.handed_over(job_id)} are noted")

    def handed_over(self, job_id: str) -> list[str]:
        """Return which outputs of a job are noted as handed over."""
        return self.row("SELECT handed_over FROM jobs WHERE id = :id", job_id)  # type: ignore[return-value]  # texts

    def row(self, query: str, job_id: str) -> object:
        """Return the one value that a query about a job finds."""
        return self.api.bench.scalar(query, id=job_id)

    def rows(self, table: str, job_id: str) -> int:
        """Return how many rows of a table are of a job."""
        return int(str(self.row(f"SELECT count(*) FROM {table} WHERE job_id = :id", job_id)))


def seconds_kept(job: dict[str, str]) -> float:
    """Return for how long a job says that its results are kept after its end."""
    ended, expires = (dt.datetime.fromisoformat(job[one]) for one in ("finished_at", "expires_at"))
    return (expires - ended).total_seconds()
