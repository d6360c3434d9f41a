"""A client of remove.bg, and hand-made stages of its job."""

import contextlib
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx
from sqlalchemy import text

from smart_filter_api.auth.api_keys import Scope
from smart_filter_shared.ids import JobId, Tenant
from smart_filter_shared.jobs.photo_queue import CLIENT
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.queue.leases import Failure
from smart_filter_tests.bench import TENANT
from smart_filter_tests.patience import PATIENCE_SECONDS
from smart_filter_tests.serving import Api, a_photo

PHOTO = a_photo(size=(800, 600))
PICTURE = b"a picture of seven and more bytes"
# The photo shrunk to half, with people in its middle.
FRAME = {"width": 400, "height": 300, "scale": 0.5, "left": 0.0, "top": 0.0}
PEOPLE = [100, 50, 200, 250]
PREPARED: dict[str, Any] = {
    "facts": {"width": 800, "height": 600, "format": "jpeg", "proposals": []},
    "arrays": {},
    "files": {},
}
_Answer = TypeVar("_Answer")


@dataclass(slots=True)
class RemoveBgClient:
    """A client of remove.bg whose requests run in the background of the test."""

    api: Api
    client: httpx.Client
    pool: ThreadPoolExecutor

    def post(self, photo: bytes = PHOTO, *, accept: str = "*/*", **fields: str) -> httpx.Response:
        return self.client.post(
            "/v1.0/removebg",
            files={"image_file": ("photo.jpg", photo)},
            data=fields,
            headers={"Accept": accept},
        )

    def begin(
        self, photo: bytes = PHOTO, *, accept: str = "*/*", **fields: str
    ) -> Future[httpx.Response]:
        """Send an image as a file, in the background; return when its job exists."""
        return self.begin_request(lambda: self.post(photo, accept=accept, **fields))

    def begin_request(self, send: Callable[[], _Answer]) -> Future[_Answer]:
        """Send a request in the background; return when its job exists."""
        before = self.jobs()
        answer = self.pool.submit(send)
        while self.jobs() == before and not answer.done():
            pass  # the request is on its way
        return answer

    def join(self, **fields: str) -> Future[httpx.Response]:
        """Send the request in progress again; return when it waits for the same job."""
        before = self.last_join()
        answer = self.pool.submit(self.post, **fields)
        while self.last_join() == before and not answer.done():
            pass  # the request is on its way
        return answer

    def job(self) -> dict[str, Any]:
        shown: dict[str, Any] = self.api.client.get("/v1/jobs").json()["items"][0]
        return shown

    def jobs(self) -> int:
        return int(self.api.bench.scalar("SELECT count(*) FROM jobs"))

    def last_join(self) -> str:
        """Return when a request last joined an identical one, as a text."""
        return str(self.api.bench.scalar("SELECT max(claimed_at) FROM requests"))

    def work(
        self,
        *,
        output: str = "image",
        media_type: str = "image/png",
        people: list[int] | None = PEOPLE,
        prepared: dict[str, Any] = PREPARED,
    ) -> None:
        """Make all stages of the one job that waits."""
        self.api.finish(StageName.PREPARE, prepared)
        segmented = {"coverage": 0.4 if people else 0.0}
        self.api.finish(StageName.SEGMENTATION, {"facts": segmented, "arrays": {}, "files": {}})
        key = f"results/{uuid.uuid4()}"
        self.api.bench.store.put(key, PICTURE, length=len(PICTURE), media_type=media_type)
        file = {"key": key, "media_type": media_type, "bytes": len(PICTURE)}
        file |= {"width": 400, "height": 300, "format": media_type.partition("/")[2]}
        facts = {"background": None, "frame": FRAME, "foreground": people}
        self.api.finish(
            StageName.COMPOSITE, {"facts": facts, "arrays": {}, "files": {output: file}}
        )

    def cancel(self) -> None:
        with self.api.bench.transaction() as connection:
            rows = connection.execute(text("SELECT id, tenant FROM jobs WHERE outcome IS NULL"))
            for job in rows.all():
                CLIENT.cancel(connection, JobId(job.id), Tenant(job.tenant))

    def fail(self, code: str, stage: StageName = StageName.PREPARE) -> None:
        if stage == StageName.COMPOSITE:
            self.api.finish(StageName.PREPARE, PREPARED)
            self.api.finish(StageName.SEGMENTATION, {"facts": {}, "arrays": {}, "files": {}})
        if stage == StageName.SEGMENTATION:
            self.api.finish(StageName.PREPARE, PREPARED)
        self.api.fail(stage, Failure(code, "It failed", f"because of {code}"))


@contextlib.contextmanager
def open_client(api: Api, *, url: str = "") -> Iterator[RemoveBgClient]:
    """Yield a remove.bg client of the tests' tenant.

    url: of the API process to call; by default the one that all tests share.
    """
    headers = {"X-Api-Key": api.key(Scope.SUBMIT, tenant=TENANT)}
    with (
        httpx.Client(
            base_url=url or api.url, headers=headers, timeout=PATIENCE_SECONDS, verify=False
        ) as client,
        ThreadPoolExecutor(8) as pool,
    ):
        yield RemoveBgClient(api, client, pool)


def code_of(answer: httpx.Response) -> tuple[int, str]:
    """Return the status and the code of an error in remove.bg's envelope."""
    assert answer.headers["content-type"] == "application/json", answer.text
    (error,) = answer.json()["errors"]
    assert error["title"]
    return answer.status_code, error["code"]
