"""Photos in the buckets of S3 folders, their events and their results."""

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_plus

import httpx

from smart_filter_api.auth.api_keys import Scope
from smart_filter_shared.ids import Tenant
from smart_filter_shared.storage.objects import MAX_OBJECT_BYTES, ObjectStore
from smart_filter_shared.storage.opening import open_store
from smart_filter_tests.bench import TENANT, Bench
from smart_filter_tests.outages import wait_until
from smart_filter_tests.serving import Api, a_photo, as_bearer
from smart_filter_tests.stages import COMPOSITE, FACE, PREPARE, SEGMENTATION, SMILE
from smart_filter_tests.stored_results import run_stages

OTHER = Tenant("other")
FOLDERS = [
    {"tenant": TENANT, "source": "s3://photos/in/", "target": "s3://photos/out/"},
    {"tenant": OTHER, "source": "s3://photos/other/", "target": "s3://results/"},
]
NEVER = str(300_000_000)


@dataclass(slots=True)
class Photos:
    """The buckets of the folders, and an API that watches them."""

    api: Api
    bucket: ObjectStore

    def put(self, name: str, content: bytes | None = None) -> None:
        content = a_photo() if content is None else content
        self.bucket.put(f"in/{name}", content, length=len(content), media_type="image/jpeg")

    def tell(self, *names: str, key: str | None = None) -> httpx.Response:
        """Send the event of objects of the source, as MinIO does."""
        headers = as_bearer(key or self.api.key(Scope.SUBMIT))
        return self.api.client.post(
            "/v1/events/s3", json=minio_event(*(f"in/{name}" for name in names)), headers=headers
        )

    def submit(self, name: str, content: bytes | None = None) -> str:
        """Put an object and send its event; return its job."""
        self.put(name, content)
        answer = self.tell(name)
        assert answer.status_code == 200, answer.text
        (job,) = answer.json()["jobs"]
        return str(job)

    def run(self) -> None:
        run_stages(self.api, PREPARE, SEGMENTATION, FACE, SMILE, COMPOSITE)

    def keys(self) -> set[str]:
        return {stored.key for stored in self.bucket.stored()}

    def wait_for(self, name: str) -> bytes:
        """Wait for an object of the target whose row says that it is complete; return it."""
        wait_until(lambda: self.row_of(f"photos/out/{name}") not in {None, "pending"})
        return self.bucket.get(f"out/{name}", most=MAX_OBJECT_BYTES)

    def report(self, name: str) -> dict[str, Any]:
        report: dict[str, Any] = json.loads(self.wait_for(f"{name}.error.json"))
        return report

    def row_of(self, result: str) -> str | None:
        state = self.api.bench.scalar(
            "SELECT state FROM s3_objects WHERE result = :result", result=result
        )
        return None if state is None else str(state)

    def jobs(self) -> int:
        return int(self.api.bench.scalar("SELECT count(*) FROM jobs"))


def minio_event(*keys: str, bucket: str = "photos") -> dict[str, Any]:
    """Return a notification as a webhook of MinIO posts it."""
    return {
        "EventName": "s3:ObjectCreated:Put",
        "Key": f"{bucket}/{keys[0]}",
        "Records": [
            {
                "eventVersion": "2.0",
                "eventSource": "minio:s3",
                "eventName": "s3:ObjectCreated:Put",
                "s3": {
                    "s3SchemaVersion": "1.0",
                    "bucket": {"name": bucket, "arn": f"arn:aws:s3:::{bucket}"},
                    "object": {
                        "key": quote_plus(key),
                        "size": 0,
                        "eTag": "of no use",
                        "sequencer": "17F3",
                    },
                },
                "source": {"host": "http://169.254.169.254/", "port": ""},
            }
            for key in keys
        ],
    }


def environment(*, sweep_seconds: str = NEVER, **folder: str) -> dict[str, str]:
    folders = [{**FOLDERS[0], **folder}, FOLDERS[1]]
    return {
        "SMART_FILTER_S3_FOLDERS": json.dumps(folders),
        "SMART_FILTER_S3_SWEEP_SECONDS": sweep_seconds,
        "SMART_FILTER_REMEMBER": "false",
    }


def open_buckets(bench: Bench) -> ObjectStore:
    """Empty the buckets of the folders, and return that of the photos."""
    storage = bench.settings.storage
    for name in ("results", "photos"):
        store = open_store(storage.model_copy(update={"bucket": name}), connections=2)
        store.ensure_bucket()
        for stored in list(store.stored()):
            store.remove(stored.key)
    return store
