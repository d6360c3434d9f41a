"""Idempotency-Key: the same request, sent again, is answered again and done once.

A key belongs to a tenant and is kept for a day. Whoever comes first claims it; what the
request writes and what it is answered are committed together, so that a key whose process
died is free again, and one whose answer is stored was really done.
Source: draft-ietf-httpapi-idempotency-key-header.
"""

import base64
import contextlib
import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Final

import anyio
from fastapi import Header, Request, Response
from sqlalchemy import Connection, text

from smart_filter_api import problems
from smart_filter_api.deps import Services
from smart_filter_api.schemas.parameters import (
    IDEMPOTENCY_KEY_CHARACTERS,
    IDEMPOTENCY_KEY_SCHEMA,
)
from smart_filter_shared.errors import (
    Conflict,
    Error,
    IdempotencyInProgress,
    IdempotencyMismatch,
    JobDeleted,
    JobNotFinished,
    MalformedRequest,
    NotAvailable,
    OutputExpired,
    Rejected,
    TryAgain,
    WebhookDisabled,
)
from smart_filter_shared.ids import JobId, Tenant
from smart_filter_shared.jobs.retention import REQUEST_HOURS
from smart_filter_shared.sealing import Seal

REPLAYED: Final = "Idempotency-Replayed"
# No request takes so long once its body is here: whoever claimed the key has died.
_ABANDONED_SECONDS: Final = 60
# Refusals that pass without a change of the request: the job ends, a pool of workers comes, the
# webhook is enabled again. The same request under the same key may succeed then.
_PASSING: Final = (JobNotFinished, NotAvailable, WebhookDisabled)
# No JSON document begins so.
_SEALED: Final = b"sealed:"

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        description="whatever names this request among yours for a day, at most 255 characters",
        json_schema_extra=IDEMPOTENCY_KEY_SCHEMA,
    ),
]

# A structured-field string (RFC 9651, 3.3.3), or the same without its quotes.
_QUOTED = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])*)"')
_BARE = re.compile(r"[!#-~]+")

_CLAIM = text("""
    INSERT INTO requests (tenant, key, fingerprint, claimed_at)
    VALUES (:tenant, :key, :fingerprint, statement_timestamp())
    ON CONFLICT (tenant, key) DO UPDATE SET
        fingerprint = excluded.fingerprint, claimed_at = excluded.claimed_at,
        status = NULL, media_type = NULL, location = NULL, body = NULL, job_id = NULL
    WHERE requests.claimed_at < statement_timestamp() - make_interval(hours => :kept_hours)
        OR requests.status IS NULL AND requests.claimed_at
            < statement_timestamp() - make_interval(secs => :abandoned_seconds)
    RETURNING claimed_at
""")
_FIND = text("""
    SELECT fingerprint, status, media_type, location, body, job_id,
        EXISTS (SELECT FROM jobs WHERE jobs.id = requests.job_id) AS has_job
    FROM requests
    WHERE tenant = :tenant AND key = :key
""")
_STORE = text("""
    UPDATE requests SET status = :status, media_type = :media_type, location = :location,
        body = :body, job_id = :job_id
    WHERE tenant = :tenant AND key = :key AND claimed_at = :claimed_at
""")
_FREE = text("""
    DELETE FROM requests
    WHERE tenant = :tenant AND key = :key AND claimed_at = :claimed_at AND status IS NULL
""")


class Once:
    """One request under its key; without a key nothing is remembered.

    replayed: what it was answered before; then there is nothing to do.
    remembered: what it will be answered when it comes again.
    """

    def __init__(
        self,
        named: dict[str, object] | None,
        replayed: Response | None,
        seal: Seal | None = None,
    ) -> None:
        self.replayed = replayed
        self.remembered: Response | None = None
        self._named = named
        self._seal = seal

    @property
    def is_named(self) -> bool:
        """Whether what is answered is to be remembered."""
        return self._named is not None

    def remember(
        self,
        connection: Connection,
        answer: Response,
        *,
        job_id: JobId | None = None,
        secret: bool = False,
    ) -> None:
        """Store what is answered, in the transaction that does what was asked.

        secret: whether the answer shows one: it is stored sealed then.
        Raises IdempotencyInProgress when the claim was given to another request meanwhile.
        """
        if self._named is not None:
            body = bytes(answer.body)
            if secret:
                assert self._seal is not None, "who shows a secret has sealed it before"
                about = _about(self._named)
                body = _SEALED + base64.b64encode(self._seal.close(body, about=about))
            stored = connection.execute(
                _STORE,
                {
                    **self._named,
                    "status": answer.status_code,
                    "media_type": answer.media_type,
                    "location": answer.headers.get("Location"),
                    "body": body.decode(),
                    "job_id": job_id,
                },
            )
            if not stored.rowcount:
                raise IdempotencyInProgress("another request has taken this key over")
            self.remembered = answer


@asynccontextmanager
async def once(
    services: Services, request: Request, tenant: Tenant, key: str | None, payload: bytes = b""
) -> AsyncIterator[Once]:
    """Do a request once: yields what was answered before, or lets the block do it.

    key: the header as it came.  payload: what tells the request's body from any other.
    An error that the client must mend is remembered as well; any other, and one that passes by
    itself, frees the key.
    Raises MalformedRequest, IdempotencyMismatch, IdempotencyInProgress, JobDeleted.
    """
    if key is None:
        yield Once(None, None)
        return
    asked = f"{request.method} {request.url.path}\n".encode() + payload
    named: dict[str, object] = {
        "tenant": tenant,
        "key": parsed(key),
        "fingerprint": hashlib.sha256(asked).hexdigest(),
    }
    replayed = await _claimed(services, named)
    if replayed is not None:
        yield Once(named, replayed)
        return
    claim = Once(named, None, services.seal)
    try:
        yield claim
    except BaseException as error:
        if isinstance(error, (Rejected, Conflict)) and not isinstance(error, _PASSING):
            answer = problems.of(request, error)
            async with services.transaction() as connection:
                await connection.run_sync(claim.remember, answer)
            raise
        with anyio.CancelScope(shield=True), contextlib.suppress(TryAgain):
            async with services.transaction() as connection:
                await connection.run_sync(lambda open_one: open_one.execute(_FREE, named))
        raise


def parsed(key: str) -> str:
    """Return the key in a header.  Raises MalformedRequest."""
    quoted = _QUOTED.fullmatch(key.strip())
    if quoted is not None:
        found = re.sub(r'\\(["\\])', r"\1", quoted[1])
    else:
        found = key.strip() if _BARE.fullmatch(key.strip()) else ""
    if not 0 < len(found) <= IDEMPOTENCY_KEY_CHARACTERS:
        raise MalformedRequest(
            f"Idempotency-Key is not 1 to {IDEMPOTENCY_KEY_CHARACTERS} printable characters in "
            "quotes",
            pointer="/Idempotency-Key",
        )
    return found


async def _claimed(services: Services, named: dict[str, object]) -> Response | None:
    """Claim a key, noting when, or return what was answered under it."""

    def claim(connection: Connection) -> Response | Error | None:
        limits = {"kept_hours": REQUEST_HOURS, "abandoned_seconds": _ABANDONED_SECONDS}
        claimed = connection.execute(_CLAIM, {**named, **limits}).one_or_none()
        if claimed is not None:
            named["claimed_at"] = claimed.claimed_at
            return None
        before = connection.execute(_FIND, named).one_or_none()
        if before is None or (before.status is None and before.fingerprint == named["fingerprint"]):
            return IdempotencyInProgress("the first request with this key is being worked on")
        if before.fingerprint != named["fingerprint"]:
            return IdempotencyMismatch("this key was used for another request; take a new one")
        if before.body is None and before.has_job:
            return OutputExpired(f"that request made job {before.job_id}, whose time is over")
        if before.body is None:
            return JobDeleted("the job of that request was deleted; nothing of it is kept")
        headers = {REPLAYED: "true"}
        if before.location is not None:
            headers["Location"] = before.location
        return Response(
            _opened(before.body, named, services.seal),
            status_code=before.status,
            media_type=before.media_type,
            headers=headers,
        )

    async with services.transaction() as connection:
        found = await connection.run_sync(claim)
    if isinstance(found, Error):
        raise found
    return found


def _opened(stored: str, named: dict[str, object], seal: Seal | None) -> bytes:
    body = stored.encode()
    if seal is None or not body.startswith(_SEALED):
        return body
    return seal.open(base64.b64decode(body.removeprefix(_SEALED)), about=_about(named))


def _about(named: dict[str, object]) -> str:
    return f"request {named['key']} of {named['tenant']}"
