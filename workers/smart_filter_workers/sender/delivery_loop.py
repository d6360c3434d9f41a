"""The loop: claims deliveries that are due, sends many at once, and records the outcomes."""

import datetime as dt
import random
import time
import uuid
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Final

import anyio
from anyio.abc import TaskGroup
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncEngine

from smart_filter_shared.db import sessions
from smart_filter_shared.errors import SetupFailed, TryAgain
from smart_filter_shared.ids import DeliveryId, WebhookId
from smart_filter_shared.jobs import queries
from smart_filter_shared.jobs.queries import JobRow
from smart_filter_shared.queue import batches
from smart_filter_shared.queue.batches import BatchRow
from smart_filter_shared.security.secretbox import SecretBox
from smart_filter_shared.supervision import SupervisedLoop
from smart_filter_shared.telemetry.logs import logger
from smart_filter_shared.telemetry.tracing import (
    NULL_TRACES,
    Attribute,
    Attributes,
    Span,
    SpanKind,
    Traces,
)
from smart_filter_shared.webhooks import endpoints, outbox
from smart_filter_shared.webhooks.endpoints import Webhook
from smart_filter_shared.webhooks.outbox import AttemptResult, ClaimedDelivery, DeliveryState
from smart_filter_workers.sender import retry_policy
from smart_filter_workers.sender.http_client import EndpointAnswer, NoAnswer, WebhookTransport
from smart_filter_workers.sender.retry_policy import EndpointLanes, RetryDecision

_log = logger("sender")

_WRITE_SECONDS: Final = 5.0
_UNDELIVERABLE = AttemptResult(0.0, error="the webhook is disabled, or it or the job is gone")

# Returns the body of a delivery; a test delivery has no job.
Render = Callable[[ClaimedDelivery, JobRow | BatchRow | None], bytes]


@dataclass(frozen=True, slots=True)
class SendLimits:
    """Limits of how much is sent at once, and how often the loop looks for work.

    most: deliveries in flight, at most half of them to lanes in trouble.
    at_once: deliveries that one look claims.
    few: deliveries in flight per lane; a lane in trouble gets one.
    each: deliveries in flight per tenant, over all senders.  at_host: per receiver, of all tenants.
    look_seconds: between looks when nothing is due; rest_seconds: the minimum between two looks.
    lease_seconds: longer than one post takes.  recover_seconds: between looks for deliveries of
    senders that died.  drain_seconds: for deliveries under way at the end.
    """

    most: int = 512
    at_once: int = 64
    few: int = 4
    each: int = 256
    at_host: int = 16
    look_seconds: float = 0.25
    rest_seconds: float = 0.02
    lease_seconds: float = 60.0
    recover_seconds: float = 5.0
    drain_seconds: float = 5.0


@dataclass(frozen=True, slots=True)
class PendingDelivery:
    """A delivery about to be sent.

    keys: the keys that sign it.  job: the current job or batch; None for a test, and for a job
    that this version cannot read.
    """

    claimed: ClaimedDelivery
    url: str
    keys: Sequence[bytes]
    job: JobRow | BatchRow | None


@dataclass(frozen=True, slots=True)
class ClaimLimits:
    """Limits of one claim.

    most: in total.  few: per lane.  only: claim from these lanes only; never: from none of these.
    """

    most: int
    few: int
    only: Collection[str] | None = None
    never: Collection[str] = ()


class Sender:
    """Sends deliveries; any number of processes may run one.

    resting: whether an operator has told it to claim nothing more for now.
    """

    def __init__(
        self,
        database: AsyncEngine,
        outbound: WebhookTransport,
        *,
        seal: SecretBox,
        render: Render,
        pace: SendLimits | None = None,
        traces: Traces = NULL_TRACES,
    ) -> None:
        self._database = database
        self._outbound = outbound
        self._seal = seal
        self._render = render
        self._pace = pace or SendLimits()
        self._traces = traces
        self.resting = False
        self._lanes = EndpointLanes()
        self._in_flight: dict[DeliveryId, ClaimedDelivery] = {}
        self._ended = anyio.Event()

    @property
    def is_busy(self) -> bool:
        """Whether deliveries are in flight."""
        return bool(self._in_flight)

    async def run(self, stopping: anyio.Event) -> None:
        """Send until `stopping` is set; deliveries in flight then have a moment to end.

        Raises the last of too many errors in a row; another sender repeats the claimed deliveries
        when their leases have run out.
        """
        looks = SupervisedLoop("sender", every_seconds=self._pace.look_seconds)
        async with anyio.create_task_group() as sending:
            sending.start_soon(self._recover)
            while not stopping.is_set():
                self._ended = anyio.Event()
                claimed = 0
                with looks.step():
                    claimed = 0 if self.resting else await self._look(sending)
                await anyio.sleep(self._pace.rest_seconds)
                if not claimed:
                    with anyio.move_on_after(looks.pause_seconds):
                        await (
                            stopping.wait() if looks.is_failing else self._wait_for_wakeup(stopping)
                        )
            with anyio.move_on_after(self._pace.drain_seconds):
                while self._in_flight:
                    self._ended = anyio.Event()
                    await self._ended.wait()
            left = list(self._in_flight.values())
            sending.cancel_scope.cancel()
        if left:
            await self._write(outbox.release, left)

    async def send_due(self) -> int:
        """Send what is due now, wait until all of it has ended, and return how many were sent."""
        async with anyio.create_task_group() as sending:
            return await self._look(sending)
        raise AssertionError("unreachable: the group swallows nothing")

    async def _look(self, sending: TaskGroup) -> int:
        """Claim what is due and begin to send it; return how many."""
        shares = self._shares()
        if not shares:
            return 0
        async with sessions.async_transaction(self._database) as connection:
            claimed = await connection.run_sync(
                _claim_due,
                self._seal,
                shares,
                each=self._pace.each,
                at_host=self._pace.at_host,
                lease_seconds=self._pace.lease_seconds,
            )
        for letter in claimed:
            self._in_flight[letter.claimed.id] = letter.claimed
            sending.start_soon(self._send, letter)
        return len(claimed)

    def _shares(self) -> list[ClaimLimits]:
        free_slots = self._pace.most - len(self._in_flight)
        troubled = self._lanes.failing
        of_troubled = sum(delivery.lane in troubled for delivery in self._in_flight.values())
        theirs = min(free_slots, self._pace.most // 2 - of_troubled)
        again = self._lanes.due_for_retry(time.monotonic())
        shares = []
        if free_slots > 0:
            shares.append(
                ClaimLimits(
                    most=min(free_slots, self._pace.at_once), few=self._pace.few, never=troubled
                )
            )
        if theirs > 0 and again:
            shares.append(ClaimLimits(most=min(theirs, self._pace.at_once), few=1, only=again))
        return shares

    async def _send(self, letter: PendingDelivery) -> None:
        began = time.monotonic()
        began_ns = time.time_ns()
        try:
            outcome = await self._deliver(letter)
            self._tell(letter.claimed, outcome, began_ns)
            # Record the outcome even if this process is just ending.
            with anyio.move_on_after(_WRITE_SECONDS, shield=True):
                await self._conclude(letter.claimed, outcome, began)
        except TryAgain as error:
            # Its lease runs out, and then it is sent again.
            _log.warning("attempt_not_recorded", delivery=str(letter.claimed.id), reason=str(error))
        except Exception:  # noqa: BLE001 - the top of a delivery: others are sent all the same
            _log.exception("attempt_not_recorded", delivery=str(letter.claimed.id))
        finally:
            self._in_flight.pop(letter.claimed.id, None)
            self._ended.set()

    async def _deliver(self, letter: PendingDelivery) -> EndpointAnswer | NoAnswer:
        claimed = letter.claimed
        if letter.job is None and claimed.type != outbox.TEST_EVENT:
            return NoAnswer(
                "a later version of the service wrote the job, which this one cannot read"
            )
        try:
            body = self._render(claimed, letter.job)
            headers = endpoints.sign_headers(
                letter.keys, id_=str(claimed.id), timestamp=int(time.time()), body=body
            )
            return await self._outbound.post(letter.url, headers=headers, body=body)
        except Exception:  # noqa: BLE001 - the top of a delivery: only this one fails
            _log.exception("delivery_not_sent", delivery=str(claimed.id))
            return NoAnswer("it could not be sent; see the log of the service")

    def _tell(
        self, claimed: ClaimedDelivery, outcome: EndpointAnswer | NoAnswer, began_ns: int
    ) -> None:
        """Add a span to the trace of the job or the batch; a test has no trace."""
        trace = claimed.job_id or claimed.batch_id
        if trace is None:
            return
        attributes: Attributes = {
            Attribute.DELIVERY: str(claimed.id),
            Attribute.ATTEMPT: claimed.attempt,
            **({Attribute.STATUS: outcome.status} if isinstance(outcome, EndpointAnswer) else {}),
        }
        trouble = "" if retry_policy.is_success(outcome) else "not_delivered"
        ended_ns = time.time_ns()
        span = Span("webhook", began_ns, ended_ns, SpanKind.CLIENT, attributes, trouble)
        self._traces.add(trace, span)

    async def _conclude(
        self, claimed: ClaimedDelivery, outcome: EndpointAnswer | NoAnswer, began: float
    ) -> None:
        now = time.monotonic()
        verdict = retry_policy.decide_retry(
            outcome,
            type_=claimed.type,
            attempt=claimed.attempt,
            chance=random.random(),  # noqa: S311 - it spreads load, it hides nothing
            now=dt.datetime.now(dt.UTC),
        )
        self._lanes.record(
            claimed.lane,
            well=retry_policy.is_success(outcome),
            seconds=now - began,
            now=now,
            hold_seconds=verdict.hold_seconds,
        )
        await self._write(_conclude, claimed, _to_attempt(outcome, now - began), verdict)

    async def _write(self, write: Callable[..., None], *what: object) -> None:
        async with sessions.async_transaction(self._database) as connection:
            await connection.run_sync(write, *what)

    async def _recover(self) -> None:
        """Return deliveries of senders that have died to the queue, again and again."""
        looks = SupervisedLoop("sender: recover", every_seconds=self._pace.recover_seconds)
        while True:
            with looks.step():
                async with sessions.async_transaction(self._database) as connection:
                    lost = await connection.run_sync(outbox.recover)
                if lost:
                    _log.warning("deliveries_recovered", deliveries=lost)
            await anyio.sleep(looks.pause_seconds)

    async def _wait_for_wakeup(self, stopping: anyio.Event) -> None:
        """Return when a delivery has ended, which frees its lane, or when `stopping` is set."""
        async with anyio.create_task_group() as waiting:

            async def wait(event: anyio.Event) -> None:
                await event.wait()
                waiting.cancel_scope.cancel()

            waiting.start_soon(wait, self._ended)
            waiting.start_soon(wait, stopping)


def _claim_due(
    connection: Connection,
    seal: SecretBox,
    shares: Sequence[ClaimLimits],
    *,
    each: int,
    at_host: int,
    lease_seconds: float,
) -> list[PendingDelivery]:
    """Claim what is due; deliveries that cannot be sent any more fail at once."""
    claimed = [
        delivery
        for share in shares
        for delivery in outbox.claim(
            connection,
            most=share.most,
            few=share.few,
            each=each,
            at_host=at_host,
            lease_seconds=lease_seconds,
            only=share.only,
            never=share.never,
        )
    ]
    if not claimed:
        return []
    webhooks = endpoints.get_many(
        connection,
        {
            WebhookId(uuid.UUID(delivery.webhook))
            for delivery in claimed
            if delivery.webhook != endpoints.DEFAULT_WEBHOOK
        },
    )
    jobs = queries.get_many(
        connection, {delivery.job_id for delivery in claimed if delivery.job_id is not None}
    )
    ended = batches.get_many(
        connection, {delivery.batch_id for delivery in claimed if delivery.batch_id is not None}
    )
    secrets = endpoints.read_secrets(
        connection, [(delivery.tenant, delivery.webhook) for delivery in claimed]
    )
    letters = []
    for delivery in claimed:
        url = delivery.url or _url_of(delivery, webhooks)
        job: JobRow | BatchRow | None = None
        if delivery.job_id is not None:
            job = jobs.get(delivery.job_id)
        elif delivery.batch_id is not None:
            job = ended.get(delivery.batch_id)
        keys = _keys(seal, delivery, secrets.get((delivery.tenant, delivery.webhook), []))
        is_there = job is not None or delivery.job_id in jobs or delivery.type == outbox.TEST_EVENT
        if url is None or not keys or not is_there:
            outbox.record_attempt(connection, delivery, _UNDELIVERABLE, DeliveryState.FAILED)
        else:
            letters.append(PendingDelivery(delivery, url, keys, job))
    return letters


def _url_of(claimed: ClaimedDelivery, webhooks: dict[WebhookId, Webhook]) -> str | None:
    if claimed.webhook == endpoints.DEFAULT_WEBHOOK:
        return None
    webhook = webhooks.get(WebhookId(uuid.UUID(claimed.webhook)))
    return None if webhook is None or webhook.disabled is not None else webhook.url


def _keys(seal: SecretBox, claimed: ClaimedDelivery, sealed: Sequence[bytes]) -> list[bytes]:
    try:
        return endpoints.open_secrets(seal, claimed.tenant, claimed.webhook, sealed)
    except SetupFailed as error:
        _log.error("delivery_not_signed", delivery=str(claimed.id), reason=str(error))
        return []


def _conclude(
    connection: Connection, claimed: ClaimedDelivery, tried: AttemptResult, verdict: RetryDecision
) -> None:
    if verdict.disables and claimed.webhook != endpoints.DEFAULT_WEBHOOK:
        # Lock the webhook first, then its deliveries: the same order as its deletion.
        endpoints.disable(
            connection, claimed.tenant, WebhookId(uuid.UUID(claimed.webhook)), why=endpoints.GONE
        )
    outbox.record_attempt(
        connection, claimed, tried, verdict.state, wait_seconds=verdict.wait_seconds
    )


def _to_attempt(outcome: EndpointAnswer | NoAnswer, seconds: float) -> AttemptResult:
    if isinstance(outcome, NoAnswer):
        return AttemptResult(seconds, error=outcome.why)
    # PostgreSQL text cannot hold NUL.
    answer = outcome.content.decode("utf-8", "replace").replace("\0", "\ufffd")
    return AttemptResult(seconds, status=outcome.status, answer=answer)
