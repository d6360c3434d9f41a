"""The loop: takes what is due, sends many at once, and writes down what came of it."""

import datetime as dt
import random
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import anyio
from anyio.abc import TaskGroup
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncEngine

from smart_filter_shared import signing
from smart_filter_shared.db import sessions
from smart_filter_shared.errors import TryAgain
from smart_filter_shared.ids import DeliveryId, WebhookId
from smart_filter_shared.jobs import deliveries, webhooks
from smart_filter_shared.jobs.batches import BatchRow
from smart_filter_shared.jobs.deliveries import Claimed, Tried
from smart_filter_shared.jobs.queries import JobRow
from smart_filter_shared.sealing import Seal
from smart_filter_shared.supervision import SupervisedLoop
from smart_filter_shared.telemetry.logs import logger
from smart_filter_shared.telemetry.tracing import (
    UNTOLD,
    Attribute,
    Attributes,
    Span,
    SpanKind,
    Traces,
)
from smart_filter_workers.sender import letters, schedule
from smart_filter_workers.sender.lanes import Lanes
from smart_filter_workers.sender.letters import Letter, Share
from smart_filter_workers.sender.outbound import Answer, Outbound, Silence
from smart_filter_workers.sender.schedule import Verdict

_log = logger("sender")

_WRITE_SECONDS: Final = 5.0

# Returns the body that tells of a delivery; of a test there is no job.
Render = Callable[[Claimed, JobRow | BatchRow | None], bytes]


@dataclass(frozen=True, slots=True)
class Pace:
    """How much is sent at a time, and how often is looked.

    most: in all, of which at most half goes to lanes in trouble.  at_once: taken by one look.
    few: of one lane; of one in trouble it is one.
    look_seconds: between looks when there is nothing; rest_seconds: at least between two.
    lease_seconds: more than one post takes.  recover_seconds: how often is looked for what
    senders that died have left.  drain_seconds: how long what is under way may take at the end.
    """

    most: int = 512
    at_once: int = 64
    few: int = 4
    look_seconds: float = 0.25
    rest_seconds: float = 0.02
    lease_seconds: float = 60.0
    recover_seconds: float = 5.0
    drain_seconds: float = 5.0


class Sender:
    """Sends deliveries; any number of processes may.

    resting: whether it takes nothing more for now, as an operator wants it.
    """

    def __init__(
        self,
        database: AsyncEngine,
        outbound: Outbound,
        *,
        seal: Seal,
        render: Render,
        pace: Pace | None = None,
        traces: Traces = UNTOLD,
    ) -> None:
        self._database = database
        self._outbound = outbound
        self._seal = seal
        self._render = render
        self._pace = pace or Pace()
        self._traces = traces
        self.resting = False
        self._lanes = Lanes()
        self._in_flight: dict[DeliveryId, Claimed] = {}
        self._ended = anyio.Event()

    @property
    def is_busy(self) -> bool:
        """Whether it sends something just now."""
        return bool(self._in_flight)

    async def run(self, stopping: anyio.Event) -> None:
        """Send until told to stop; then what is under way has a moment to end.

        Raises the last of too many defects in a row: what was taken is sent again by another
        sender when its lease has run out.
        """
        looks = SupervisedLoop("sender", every_seconds=self._pace.look_seconds)
        async with anyio.create_task_group() as sending:
            sending.start_soon(self._recover)
            while not stopping.is_set():
                self._ended = anyio.Event()
                found = 0
                with looks.step():
                    found = 0 if self.resting else await self._look(sending)
                await anyio.sleep(self._pace.rest_seconds)
                if not found:
                    with anyio.move_on_after(looks.pause_seconds):
                        await (stopping.wait() if looks.is_failing else self._woken(stopping))
            with anyio.move_on_after(self._pace.drain_seconds):
                while self._in_flight:
                    self._ended = anyio.Event()
                    await self._ended.wait()
            left = list(self._in_flight.values())
            sending.cancel_scope.cancel()
        if left:
            await self._write(deliveries.release, left)

    async def send_due(self) -> int:
        """Send what is due now, wait until all of it has ended, and return how many it was."""
        async with anyio.create_task_group() as sending:
            return await self._look(sending)
        raise AssertionError("unreachable: the group swallows nothing")

    async def _look(self, sending: TaskGroup) -> int:
        """Take what is due and begin to send it; return how many."""
        shares = self._shares()
        if not shares:
            return 0
        async with sessions.async_transaction(self._database) as connection:
            taken = await connection.run_sync(
                letters.take, self._seal, shares, lease_seconds=self._pace.lease_seconds
            )
        for letter in taken:
            self._in_flight[letter.claimed.id] = letter.claimed
            sending.start_soon(self._send, letter)
        return len(taken)

    def _shares(self) -> list[Share]:
        room = self._pace.most - len(self._in_flight)
        troubled = self._lanes.troubled
        of_troubled = sum(one.lane in troubled for one in self._in_flight.values())
        theirs = min(room, self._pace.most // 2 - of_troubled)
        again = self._lanes.open_again(time.monotonic())
        shares = []
        if room > 0:
            shares.append(
                Share(most=min(room, self._pace.at_once), few=self._pace.few, never=troubled)
            )
        if theirs > 0 and again:
            shares.append(Share(most=min(theirs, self._pace.at_once), few=1, only=again))
        return shares

    async def _send(self, letter: Letter) -> None:
        began = time.monotonic()
        began_ns = time.time_ns()
        try:
            outcome = await self._deliver(letter)
            self._tell(letter.claimed, outcome, began_ns)
            # What was sent is written down, also when this process ends just now.
            with anyio.move_on_after(_WRITE_SECONDS, shield=True):
                await self._conclude(letter.claimed, outcome, began)
        except TryAgain as error:
            # Its lease runs out, and it is sent again.
            _log.warning("not written down", delivery=str(letter.claimed.id), reason=str(error))
        except Exception:  # noqa: BLE001 - the top of a delivery: others are sent all the same
            _log.exception("not written down", delivery=str(letter.claimed.id))
        finally:
            self._in_flight.pop(letter.claimed.id, None)
            self._ended.set()

    async def _deliver(self, letter: Letter) -> Answer | Silence:
        claimed = letter.claimed
        if letter.job is None and claimed.type != deliveries.TEST:
            return Silence(
                "a later version of the service wrote the job, which this one cannot read"
            )
        try:
            body = self._render(claimed, letter.job)
            headers = signing.headers(
                letter.keys, id_=str(claimed.id), timestamp=int(time.time()), body=body
            )
            return await self._outbound.post(letter.url, headers=headers, body=body)
        except Exception:  # noqa: BLE001 - the top of a delivery: it fails alone, as one unanswered
            _log.exception("a delivery cannot be sent", delivery=str(claimed.id))
            return Silence("it could not be sent; the log of the service has why")

    def _tell(self, claimed: Claimed, outcome: Answer | Silence, began_ns: int) -> None:
        """Tell the trace of the job, or of the batch; a test has none."""
        trace = claimed.job_id or claimed.batch_id
        if trace is None:
            return
        told: Attributes = {
            Attribute.DELIVERY: str(claimed.id),
            Attribute.ATTEMPT: claimed.attempt,
            **({Attribute.STATUS: outcome.status} if isinstance(outcome, Answer) else {}),
        }
        trouble = "" if schedule.is_success(outcome) else "not_delivered"
        ended_ns = time.time_ns()
        span = Span("webhook", began_ns, ended_ns, SpanKind.CLIENT, told, trouble)
        self._traces.add(trace, span)

    async def _conclude(self, claimed: Claimed, outcome: Answer | Silence, began: float) -> None:
        now = time.monotonic()
        verdict = schedule.judge(
            outcome,
            type_=claimed.type,
            attempt=claimed.attempt,
            chance=random.random(),  # noqa: S311 - it spreads load, it hides nothing
            now=dt.datetime.now(dt.UTC),
        )
        self._lanes.went(
            claimed.lane,
            well=schedule.is_success(outcome),
            seconds=now - began,
            now=now,
            hold_seconds=verdict.hold_seconds,
        )
        await self._write(_conclude, claimed, _tried(outcome, now - began), verdict)

    async def _write(self, write: Callable[..., None], *what: object) -> None:
        async with sessions.async_transaction(self._database) as connection:
            await connection.run_sync(write, *what)

    async def _recover(self) -> None:
        """Take back, now and then, what a sender that has died was sending."""
        looks = SupervisedLoop("sender: recover", every_seconds=self._pace.recover_seconds)
        while True:
            with looks.step():
                async with sessions.async_transaction(self._database) as connection:
                    lost = await connection.run_sync(deliveries.recover)
                if lost:
                    _log.warning("took back what a sender left", deliveries=lost)
            await anyio.sleep(looks.pause_seconds)

    async def _woken(self, stopping: anyio.Event) -> None:
        """Return when a delivery has ended, for its lane may have more, or when told to stop."""
        async with anyio.create_task_group() as waiting:

            async def wait(event: anyio.Event) -> None:
                await event.wait()
                waiting.cancel_scope.cancel()

            waiting.start_soon(wait, self._ended)
            waiting.start_soon(wait, stopping)


def _conclude(connection: Connection, claimed: Claimed, tried: Tried, verdict: Verdict) -> None:
    if verdict.disables and claimed.webhook != webhooks.DEFAULT:
        # The webhook first, and then what waits for it: as whoever deletes it does.
        webhooks.disable(
            connection, claimed.tenant, WebhookId(uuid.UUID(claimed.webhook)), why=webhooks.GONE
        )
    deliveries.conclude(
        connection, claimed, tried, verdict.state, wait_seconds=verdict.wait_seconds
    )


def _tried(outcome: Answer | Silence, seconds: float) -> Tried:
    if isinstance(outcome, Silence):
        return Tried(seconds, error=outcome.why)
    # NUL is a character that no text in PostgreSQL holds.
    answer = outcome.content.decode("utf-8", "replace").replace("\0", "\ufffd")
    return Tried(seconds, status=outcome.status, answer=answer)
