"""Two steps of one job at the same moment: the second begins before the first has committed."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from smart_filter_shared.errors import Error
from smart_filter_shared.ids import BatchId, JobId
from smart_filter_shared.jobs.photo_queue import CLIENT, WORKER
from smart_filter_shared.queue import events
from smart_filter_shared.queue.events import EventType
from smart_filter_shared.queue.leases import Lease
from smart_filter_tests import invariants, races
from smart_filter_tests.bench import TENANT, Bench, stage_result
from smart_filter_tests.protocol.model import State, Step, find_step
from smart_filter_tests.protocol.real_job import Diverged, RealJob, foretell_answer
from smart_filter_tests.stages import COMPOSITE, FACE, PREPARE, SEGMENTATION, SMILE

_SKIP_LOCKED = frozenset({"claim", "expire"})
_PREPARED = ("claim 0 by 1", "complete 0 by 1")
_BOTH_RUN = (*_PREPARED, "claim 1 by 1", "claim 2 by 2")
_JOINING = (*_PREPARED, "claim 2 by 1", "complete 2 by 1", "claim 1 by 1", "claim 3 by 2")
_LATE = (*_BOTH_RUN, "lease ends 1")
_LAST = (*_JOINING, "complete 1 by 1", "complete 3 by 2", "claim 4 by 1")
_FAILED = ("claim 0 by 1", "fail 0 by 1")
# The steps that lead to a state, and the two that are made in it.
PAIRS: tuple[tuple[Sequence[str], str, str], ...] = (
    ((), "claim 0 by 1", "claim 0 by 2"),
    (_JOINING, "complete 1 by 1", "complete 3 by 2"),
    (_BOTH_RUN, "fail 1 by 1", "complete 2 by 2"),
    (_BOTH_RUN, "fail 1 by 1", "fail 2 by 2"),
    (_LATE, "expire", "complete 1 by 1"),
    (_LATE, "complete 1 by 1", "expire"),
    (_LATE, "renew 1 by 1", "expire"),
    (_LAST, "cancel", "complete 4 by 1"),
    (_LAST, "complete 4 by 1", "cancel"),
    (_LAST, "cancel", "fail 4 by 1"),
    (_FAILED, "redrive", "redrive"),
    (_FAILED, "redrive", "cancel"),
)


def check_pairs(bench: Bench) -> None:
    """Overlap each pair; the end must be that of one order.  Raises Diverged."""
    for way, first, second in PAIRS:
        _check_pair(bench, way, first, second)


def _check_pair(bench: Bench, way: Sequence[str], first: str, second: str) -> None:
    job = RealJob.submit(bench)
    for name in way:
        job.follow(find_step(job.state, name))
    start, ends_before = job.state, job.ends
    pair = [find_step(start, name).step for name in (first, second)]
    with ThreadPoolExecutor(1) as pool:
        with bench.transaction() as connection:
            job.make(connection, pair[0])
            other = pool.submit(_make, job, pair[1])
            races.wait_for_lock_waiters(bench, other)
        answer = other.result()
    after, ends, _ = job.read()
    in_order = _serial(start, first, second)
    in_reverse = _serial(start, second, first)
    alone = (find_step(start, first).after, find_step(start, first).ends)
    # The sweeper and a claim leave a locked row to the next ring.
    possible = [
        in_order,
        in_reverse,
        *([alone] if pair[1].name in _SKIP_LOCKED else []),
    ]
    noticed: dict[str, object] = {}
    if pair[1].name not in _SKIP_LOCKED:
        now = find_step(start, first).after
        foretold = foretell_answer(now, find_step(now, second))
        if answer != foretold:
            noticed["the answer"] = f"{answer}, not {foretold}"
    if (after, ends - ends_before) not in [(state.job, told) for state, told in possible]:
        noticed["the model"] = f"{after}, {ends} ends"
    if broken := invariants.broken(bench):
        noticed.update({f"audit: {fault.partition(': ')[0]}": fault for fault in broken})
    if noticed:
        raise Diverged(pair[1], noticed)


def check_batches(bench: Bench) -> None:
    """End the last two jobs of a batch at the same moment.  Raises Diverged."""
    for second in ("complete", "cancel_batch"):
        bench.empty()
        batch_id, _ = bench.submit_batch(2)
        for stage in (PREPARE, FACE, SMILE, SEGMENTATION):
            bench.complete(*bench.claim(stage, batch_size=2))
        lease, other_lease = bench.claim_one(COMPOSITE), bench.claim_one(COMPOSITE)

        with ThreadPoolExecutor(1) as pool:
            with bench.transaction() as connection:
                WORKER.complete(connection, [stage_result(lease)])
                other = pool.submit(_end_other, bench, second, other_lease, batch_id)
                races.wait_for_lock_waiters(bench, other)
            other.result()
        noticed: dict[str, object] = {
            f"audit: {fault.partition(': ')[0]}": fault for fault in invariants.broken(bench)
        }
        told = [event.type for event in bench.do(events.list_for_job, JobId(batch_id))]
        if told.count(EventType.BATCH_FINISHED) != 1:
            noticed["the events"] = told
        if noticed:
            raise Diverged(Step(second), noticed)


def _end_other(bench: Bench, name: str, lease: Lease, batch_id: BatchId) -> None:
    with bench.transaction() as connection:
        if name == "complete":
            WORKER.complete(connection, [stage_result(lease)])
        else:
            CLIENT.cancel_batch(connection, batch_id, TENANT)


def _make(job: RealJob, step: Step) -> object:
    try:
        with job.bench.transaction() as connection:
            return job.make(connection, step)
    except Error as error:
        return type(error).__name__


def _serial(state: State, *names: str) -> tuple[State, int]:
    ends = 0
    for name in names:
        taken = find_step(state, name)
        state, ends = taken.after, ends + taken.ends
    return state, ends
