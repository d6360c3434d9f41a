"""Idempotency-Key: a repeated request gets the stored answer and is executed only once.

A key belongs to a tenant and is kept for a day. The first request claims it. The changes of the
request and its answer are committed together: a stored answer means that the request was executed,
and the key of a process that died becomes free again.
Source: draft-ietf-httpapi-idempotency-key-header.
"""

import base64
import datetime as dt
import hashlib
import re
import uuid
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import Header, Request, Response
from sqlalchemy import Connection, text

from smart_filter_api.auth.api_keys import Caller
from smart_filter_api.problems import problem
from smart_filter_api.schemas.parameters import (
    IDEMPOTENCY_KEY_CHARACTERS,
    IDEMPOTENCY_KEY_SCHEMA,
)
from smart_filter_api.services.container import Services
from smart_filter_api.services.database import ABANDONED_SECONDS
from smart_filter_shared.artifacts.retention import IDEMPOTENCY_KEY_HOURS
from smart_filter_shared.db import driver_queries
from smart_filter_shared.errors import (
    Conflict,
    Error,
    IdempotencyInProgress,
    IdempotencyMismatch,
    JobDeleted,
    JobNotFinished,
    MalformedRequest,
    NotAvailable,
    OutcomeUnknown,
    OutputExpired,
    Rejected,
    TryAgain,
    WebhookDisabled,
)
from smart_filter_shared.ids import JobId, Tenant
from smart_filter_shared.queue.submission import StoredAnswer
from smart_filter_shared.security.secretbox import SecretBox

# Problems that a request with a key may get.
PROBLEMS: Final = ("malformed_request", "idempotency_in_progress", "idempotency_mismatch")
REPLAYED_HEADER: Final = "Idempotency-Replayed"
# Rejections that can end without a change of the request: the job ends, a worker pool starts, the
# webhook is enabled. The same request with the same key may then succeed.
_TRANSIENT_REFUSALS: Final = (JobNotFinished, NotAvailable, WebhookDisabled)
# Marks encrypted bodies; no JSON document starts with it.
_SEALED_PREFIX: Final = b"sealed:"

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        description="A unique name of this request among the requests of your tenant, or of "
        "a device, within a day; at most 255 characters",
        json_schema_extra=IDEMPOTENCY_KEY_SCHEMA,
    ),
]

# A structured-field string (RFC 9651, 3.3.3), or the same without its quotes.
_QUOTED = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])*)"')
_BARE = re.compile(r"[!#-~]+")

# A refusal that names three or four fields.
_MAX_REFUSAL_BYTES = 1000
_REFUSED_BEFORE = (
    "the first request with this Idempotency-Key was refused with this code; send the corrected "
    "request under a new key"
)

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
    SELECT fingerprint, status, media_type, location, body, job_id FROM requests
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
# A claim whose answer was lost: the key would seem to be in progress until it is abandoned. The
# claim of a simultaneous equal request may go too; that request then writes nothing.
_FREE_LOST = text("""
    DELETE FROM requests
    WHERE tenant = :tenant AND key = :key AND fingerprint = :fingerprint AND status IS NULL
        AND claimed_at > statement_timestamp() - make_interval(secs => :abandoned_seconds)
        AND claimed_at <= statement_timestamp() - make_interval(secs => :since_seconds)
""")


@dataclass(frozen=True, slots=True)
class _Claim:
    """A claimed key.  key: as it is stored."""

    tenant: Tenant
    key: str
    claimed_at: dt.datetime

    @property
    def row(self) -> dict[str, object]:
        """Return the parameters that find the claim."""
        return {"tenant": self.tenant, "key": self.key, "claimed_at": self.claimed_at}

    @property
    def seal_context(self) -> str:
        """Return what the encryption of the answer is bound to."""
        return _seal_context(self.tenant, self.key)


class IdempotentRequest:
    """One request with its idempotency key; without a key no answer is stored.

    replayed: the stored answer of an earlier request; then there is nothing to do.
    remembered: the answer that was stored for repeated requests.
    """

    def __init__(
        self,
        claim: _Claim | None = None,
        *,
        replayed: Response | None = None,
        seal: SecretBox | None = None,
    ) -> None:
        self.replayed = replayed
        self.remembered: Response | None = None
        self._claim = claim
        self._seal = seal

    @property
    def is_named(self) -> bool:
        """Whether the request has a key, so that its answer is stored."""
        return self._claim is not None

    @property
    def claimed_at(self) -> dt.datetime:
        """When the request, which has a key, was claimed, by the database's clock."""
        assert self._claim is not None, "the request has no key"
        return self._claim.claimed_at

    def keep(self, answer: Response, job_id: JobId) -> StoredAnswer:
        """Return the answer to a submission with a key, to be stored with the job."""
        assert self._claim is not None, "the request has no key"
        self.remembered = answer
        return StoredAnswer(
            tenant=self._claim.tenant,
            key=self._claim.key,
            claimed_at=self._claim.claimed_at,
            status=answer.status_code,
            media_type=str(answer.media_type),
            location=answer.headers["Location"],
            body=bytes(answer.body).decode(),
            job_id=job_id,
        )

    def remember(
        self,
        connection: Connection,
        answer: Response,
        *,
        job_id: JobId | None = None,
        secret: bool = False,
    ) -> None:
        """Store the answer, in the transaction that executes the request.

        secret: whether the answer holds a secret; it is then stored encrypted.
        Raises IdempotencyInProgress when another request has taken over the claim.
        """
        if self._claim is not None:
            body = bytes(answer.body)
            if secret:
                assert self._seal is not None, "an answer with a secret needs a secrets key"
                sealed = self._seal.close(body, about=self._claim.seal_context)
                body = _SEALED_PREFIX + base64.b64encode(sealed)
            stored = connection.execute(
                _STORE,
                {
                    **self._claim.row,
                    "status": answer.status_code,
                    "media_type": answer.media_type,
                    "location": answer.headers.get("Location"),
                    "body": body.decode(),
                    "job_id": job_id,
                },
            )
            if not stored.rowcount:
                raise IdempotencyInProgress("another request has taken over this Idempotency-Key")
            self.remembered = answer


@asynccontextmanager
async def once(
    services: Services,
    request: Request,
    caller: Caller,
    key: str | None,
    payload: bytes = b"",
    *,
    fingerprint: str | None = None,
) -> AsyncIterator[IdempotentRequest]:
    """Execute a request once: yield its stored answer, or claim the key for the block.

    key: the header as received.  payload: bytes that identify the request's body.
    fingerprint: of `compute_fingerprint`, in place of a long payload.
    A rejection is stored as well; of a long one only the status and the code, since its text can be
    much longer than the request. Other errors, and rejections that can end by themselves, free the
    key, unless an answer is stored: the request was executed, although its outcome was unknown.
    Raises MalformedRequest, IdempotencyMismatch, IdempotencyInProgress, JobDeleted.
    """
    if key is None:
        yield IdempotentRequest()
        return
    outcome = await _claim_or_replay(
        services,
        caller.tenant,
        _private_key(caller, key),
        fingerprint or compute_fingerprint(request, [payload]),
    )
    if isinstance(outcome, Response):
        yield IdempotentRequest(replayed=outcome)
        return
    claim = IdempotentRequest(outcome, seal=services.secret_box)
    try:
        yield claim
    except BaseException as error:
        if isinstance(error, (Rejected, Conflict)) and not isinstance(error, _TRANSIENT_REFUSALS):
            answer = problem.respond_to_error(request, error)
            if len(answer.body) > _MAX_REFUSAL_BYTES:
                answer = problem.problem_response(request, error.code, _REFUSED_BEFORE)
            try:
                await services.database.transact(claim.remember, answer)
            except TryAgain:  # the repeated request is refused again
                await services.claims.free(_FREE, outcome.row)
        else:
            await services.claims.free(_FREE, outcome.row)
        raise


async def write_once(
    services: Services,
    request: Request,
    caller: Caller,
    key: str | None,
    write: Callable[[Connection, IdempotentRequest], Response],
    *,
    payload: bytes = b"",
) -> Response:
    """Execute a request that is one transaction once, and return its answer.

    write: executes the request, remembers its answer and returns it.  Others as in `once`.
    """
    async with once(services, request, caller, key, payload) as claimed:
        if claimed.replayed is not None:
            return claimed.replayed
        async with services.database.transaction() as connection:
            return await connection.run_sync(write, claimed)


def compute_fingerprint(request: Request, payload: Iterable[bytes]) -> str:
    """Return the SHA-256 of a request as lower-case hex.

    payload: pieces of the bytes that identify its body.
    """
    digest = hashlib.sha256(f"{request.method} {request.url.path}?{request.url.query}\n".encode())
    for piece in payload:
        digest.update(piece)
    return digest.hexdigest()


def parse_key(key: str) -> str:
    """Return the key in a header.  Raises MalformedRequest."""
    quoted = _QUOTED.fullmatch(key.strip())
    if quoted is not None:
        text = re.sub(r'\\(["\\])', r"\1", quoted[1])
    else:
        text = key.strip() if _BARE.fullmatch(key.strip()) else ""
    if not 0 < len(text) <= IDEMPOTENCY_KEY_CHARACTERS:
        raise MalformedRequest(
            f"Idempotency-Key is not 1 to {IDEMPOTENCY_KEY_CHARACTERS} printable ASCII characters; "
            "spaces need quotes around the key",
            pointer="/Idempotency-Key",
        )
    return text


def _private_key(caller: Caller, key: str) -> str:
    """Return a key as it is stored: devices of one tenant do not share theirs."""
    parsed = parse_key(key)
    # No header holds a line break, so the keys of a device never equal others.
    return parsed if caller.device_key_id is None else f"{caller.device_key_id}\n{parsed}"


async def _claim_or_replay(
    services: Services, tenant: Tenant, key: str, fingerprint: str
) -> _Claim | Response:
    """Claim a key, or return its stored answer."""
    row = {"tenant": tenant, "key": key}
    limits = {"kept_hours": IDEMPOTENCY_KEY_HOURS, "abandoned_seconds": ABANDONED_SECONDS}

    def claim(connection: Connection) -> _Claim | Response | Error:
        asked = {**row, **limits, "fingerprint": fingerprint}
        if claimed := driver_queries.fetch_rows(connection, _CLAIM, asked):
            return _Claim(tenant, key, claimed[0][0])
        before = connection.execute(_FIND, row).one_or_none()
        if before is None or (before.status is None and before.fingerprint == fingerprint):
            return IdempotencyInProgress(
                "the first request with this Idempotency-Key is still in progress"
            )
        if before.fingerprint != fingerprint:
            return IdempotencyMismatch(
                "this Idempotency-Key was used for another request; generate a new one"
            )
        if before.body is None and _has_job(connection, before.job_id):
            return OutputExpired(f"the job {before.job_id} of the first request has expired")
        if before.body is None:
            return JobDeleted("the job of the first request was deleted")
        headers = {REPLAYED_HEADER: "true"}
        if before.location is not None:
            headers["Location"] = before.location
        return Response(
            _unseal(before.body, _seal_context(tenant, key), services.secret_box),
            status_code=before.status,
            media_type=before.media_type,
            headers=headers,
        )

    # The claim commits by itself; only what it lost to is read after it.
    try:
        outcome = await services.database.query(claim)
    except OutcomeUnknown:
        await services.claims.free(_FREE_LOST, {**row, **limits, "fingerprint": fingerprint})
        raise
    if isinstance(outcome, Error):
        raise outcome
    return outcome


def _has_job(connection: Connection, job_id: uuid.UUID | None) -> bool:
    if job_id is None:
        return False
    statement = text("SELECT FROM jobs WHERE id = :id")
    return connection.execute(statement, {"id": job_id}).one_or_none() is not None


def _unseal(stored: str, context: str, seal: SecretBox | None) -> bytes:
    body = stored.encode()
    if seal is None or not body.startswith(_SEALED_PREFIX):
        return body
    return seal.open(base64.b64decode(body.removeprefix(_SEALED_PREFIX)), about=context)


def _seal_context(tenant: Tenant, key: str) -> str:
    return f"request {key} of {tenant}"
