"""Studio visitors: each has its own tenant, key and IP address."""

import datetime as dt
import itertools
import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
from playwright.sync_api import BrowserContext

from smart_filter_api.auth import sessions as browser_sessions
from smart_filter_shared.db import sessions
from smart_filter_tests.bench import settings_of
from smart_filter_tests.browsing.chromium import PATIENCE_MS
from smart_filter_tests.full_stack import LIMITS, RunningStack

_SCOPES: Final = ("admin", "read", "submit")
_TIMEOUT_SECONDS = 70.0
# Sign-in attempts are limited to thirty a minute for each address: visitors share none.
_addresses = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Visitor:
    """A new visitor without history.

    client: an API client with the visitor's key, for a look behind the page.
    """

    tenant: str
    key: str
    client: httpx.Client
    operator: httpx.Client

    def sign_in(self, context: BrowserContext, url: str) -> None:
        """Give a browser context a session of the visitor with the service at `url`."""
        number = next(_addresses)
        answer = context.request.post(
            f"{url}/v1/session",
            data={"key": self.key},
            headers={
                "Origin": url,
                "X-Forwarded-For": f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}",
            },
        )
        assert answer.status == httpx.codes.CREATED, answer.text()

    def change_settings(self, **fields: object) -> None:
        """Set the visitor's tenant settings as the operator, as in `PATCH /v1/tenants/{tenant}`.

        Examples: `jobs_waiting=1`, `requests_per_minute=5`, `recipe={"seed": 1}`.
        """
        answer = self.operator.patch(f"/v1/tenants/{self.tenant}", json=fields)
        assert answer.status_code == httpx.codes.OK, answer.text

    def submit(self, photo: Path, **fields: str) -> dict[str, Any]:
        answer = self.client.post(
            "/v1/jobs",
            files={"photo": photo.read_bytes()},
            data={name.replace("__", "."): value for name, value in fields.items()},
        )
        assert answer.status_code == httpx.codes.ACCEPTED, answer.text
        job: dict[str, Any] = answer.json()
        return job

    def succeed(self, photo: Path, **fields: str) -> dict[str, Any]:
        """Submit a photo and wait for its end; return its job, which has succeeded."""
        job = self.ended(self.submit(photo, **fields))
        assert job["state"] == "succeeded", job
        return job

    def ended(self, job: dict[str, Any]) -> dict[str, Any]:
        """Wait for a job's end; return the job."""
        gives_up_at = time.monotonic() + PATIENCE_MS / 1000
        while job["state"] in {"queued", "running"} and time.monotonic() < gives_up_at:
            job = self.client.get(f"/v1/jobs/{job['id']}", headers={"Prefer": "wait=30"}).json()
        return job

    def jobs(self) -> list[dict[str, Any]]:
        answer = self.client.get("/v1/jobs")
        assert answer.status_code == httpx.codes.OK, answer.text
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    def newest(self) -> dict[str, Any]:
        return self.jobs()[0]


def a_visitor(operator: httpx.Client) -> Visitor:
    """Create a visitor; the caller closes its client.

    operator: a client of the service with a key of tenant `local`.
    """
    tenant = f"visitor-{secrets.token_hex(4)}"
    answer = operator.post("/v1/keys", json={"tenant": tenant, "scopes": _SCOPES})
    assert answer.status_code == httpx.codes.CREATED, answer.text
    key = answer.json()["key"]
    headers = {"Authorization": f"Bearer {key}"}
    client = httpx.Client(
        base_url=operator.base_url, headers=headers, timeout=_TIMEOUT_SECONDS, limits=LIMITS
    )
    return Visitor(tenant, key, client, operator)


def a_code(stack: RunningStack, visitor: Visitor) -> str:
    """Return a code that signs a visitor in once, like the one that `up` prints."""
    code = secrets.token_urlsafe()
    engine = sessions.open_engine(settings_of(stack.stack.addresses).database, connections=1)
    with sessions.transaction(engine) as connection:
        browser_sessions.allow_code(
            connection, code, key=visitor.key, valid_for=dt.timedelta(minutes=10)
        )
    engine.dispose()
    return code
