"""Which stages the threads of a worker may claim."""

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import pytest

from smart_filter_shared.ids import Capability, JobId, LeaseToken, Tenant
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.queue.heads import QuickOnly
from smart_filter_shared.queue.leases import Lease
from smart_filter_shared.recipe import Background, BackgroundKind, Recipe
from smart_filter_tests.clocks import MonotonicClock
from smart_filter_workers.decoder.turns import ORDINARY_MEGAPIXELS
from smart_filter_workers.runtime.claiming import thread_share
from smart_filter_workers.runtime.claiming.thread_share import ThreadShare
from smart_filter_workers.runtime.task import Task
from unit.job_rows import a_job_row

ANN, BOB, CEM = (Tenant(name) for name in ("ann", "bob", "cem"))
LARGE, SMALL, UNKNOWN = 49.0, 12.0, 0.0
FROM_ADDRESS = Recipe(background=Background(BackgroundKind.URL, "https://example.com/a.jpg"))


def a_task(
    tenant: Tenant,
    megapixels: float,
    *,
    stage: StageName = StageName.SEGMENTATION,
    recipe: Recipe | None = None,
) -> Task:
    lease = Lease(
        job_id=JobId(uuid.UUID(int=1)),
        stage=stage,
        token=LeaseToken(uuid.UUID(int=2)),
        attempt=1,
        releases=0,
        mark=0.0,
        capability=Capability(f"{stage}.bench"),
        models={},
        parameters={},
    )
    return Task(lease, 0.0, a_job_row(tenant=tenant, megapixels=megapixels, recipe=recipe))


@dataclass
class Process:
    """A worker whose threads do what the test tells them.  slow: tenants at the decoder."""

    slow: list[Tenant]
    share: ThreadShare
    clock: MonotonicClock
    threads: list[ThreadPoolExecutor]

    def claim(self, thread: int) -> QuickOnly | None:
        return self.threads[thread].submit(self.share.begin_claim).result()

    def give_up(self, thread: int) -> None:
        self.threads[thread].submit(self.share.end_claim).result()

    def begin(self, thread: int, *tasks: Task) -> None:
        self.threads[thread].submit(self.share.begin_work, tasks).result()

    def run(self, thread: int, *tasks: Task) -> None:
        self.claim(thread)
        self.begin(thread, *tasks)
        self.give_up(thread)

    def hold(self, thread: int, *tasks: Task) -> None:
        """Claim anything and get these."""
        assert self.claim(thread) is None
        self.begin(thread, *tasks)


@contextmanager
def start(monkeypatch: pytest.MonkeyPatch, *, threads: int) -> Iterator[Process]:
    clock, slow = MonotonicClock(), list[Tenant]()
    monkeypatch.setattr(thread_share, "time", clock)
    with ExitStack() as stack:
        pools = [stack.enter_context(ThreadPoolExecutor(1)) for _ in range(threads)]
        yield Process(slow, ThreadShare(threads, list_slow=lambda: slow), clock, pools)


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> Iterator[Process]:
    """Start a worker that has run quick stages of bob and of cem."""
    with start(monkeypatch, threads=2) as started:
        started.run(0, a_task(BOB, SMALL))
        started.run(0, a_task(CEM, SMALL))
        yield started


@pytest.mark.parametrize(
    "task",
    [
        a_task(ANN, LARGE),
        a_task(BOB, LARGE),
        a_task(ANN, UNKNOWN),
        a_task(ANN, SMALL, stage=StageName.COMPOSITE, recipe=FROM_ADDRESS),
    ],
    ids=["large", "large of one who had quick ones", "unknown", "background at an address"],
)
def test_stages_that_are_not_quick_get_all_threads_but_one(process: Process, task: Task) -> None:
    process.hold(0, task)

    assert process.claim(1) == QuickOnly((), (), ORDINARY_MEGAPIXELS)


def test_batch_with_one_stage_that_is_not_quick_keeps_its_place(process: Process) -> None:
    process.hold(0, a_task(BOB, SMALL), a_task(ANN, LARGE))

    assert process.claim(1) is not None


def test_small_photo_of_a_tenant_with_slow_pictures_is_not_quick(process: Process) -> None:
    process.slow.append(ANN)
    process.hold(0, a_task(ANN, SMALL))

    assert process.claim(1) == QuickOnly((), (ANN,), ORDINARY_MEGAPIXELS)


@pytest.mark.parametrize(
    "task",
    [a_task(ANN, SMALL), a_task(ANN, SMALL, recipe=FROM_ADDRESS)],
    ids=["small", "stage before the one that fetches"],
)
def test_quick_stages_get_all_threads(process: Process, task: Task) -> None:
    process.hold(0, task)

    assert process.claim(1) is None


def test_quick_stage_that_takes_long_makes_no_tenant_slow(process: Process) -> None:
    """Such as the first one of a process, whose models are cold."""
    process.hold(0, a_task(ANN, SMALL))
    process.clock.now += 30
    process.give_up(0)
    process.hold(0, a_task(CEM, LARGE))

    assert process.claim(1) == QuickOnly((), (), ORDINARY_MEGAPIXELS)


def test_thread_is_free_again_when_its_turn_ends(process: Process) -> None:
    process.hold(0, a_task(ANN, LARGE))
    process.give_up(0)

    assert process.claim(1) is None


def test_two_threads_that_claim_at_once_do_not_both_take_stages_that_are_not_quick(
    process: Process,
) -> None:
    assert process.claim(0) is None
    assert process.claim(1) is not None


def test_place_of_the_next_claim_outlasts_the_batch_that_ends(process: Process) -> None:
    process.hold(0, a_task(ANN, LARGE))
    process.claim(0)  # by the transaction that completes the batch

    assert process.claim(1) is not None


def test_nothing_is_reserved_for_a_tenant_against_its_own_stages(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with start(monkeypatch, threads=2) as process:
        process.run(0, a_task(BOB, SMALL))
        process.hold(0, a_task(BOB, LARGE))

        assert process.claim(1) == QuickOnly((BOB,), (), ORDINARY_MEGAPIXELS)


def test_quick_stages_are_forgotten_after_ten_minutes(process: Process) -> None:
    process.clock.now += 601
    process.hold(0, a_task(ANN, LARGE))

    assert process.claim(1) is None


def test_tenant_that_has_become_slow_has_no_quick_stages(monkeypatch: pytest.MonkeyPatch) -> None:
    with start(monkeypatch, threads=2) as process:
        process.run(0, a_task(BOB, SMALL))
        process.slow.append(BOB)
        process.hold(0, a_task(BOB, SMALL))

        assert process.claim(1) is None


def test_single_thread_serves_all_tenants(monkeypatch: pytest.MonkeyPatch) -> None:
    with start(monkeypatch, threads=1) as process:
        process.run(0, a_task(BOB, SMALL))

        assert process.claim(0) is None


@pytest.mark.parametrize(
    ("only", "must_be_quick"),
    [(None, False), (QuickOnly(), True), (QuickOnly(quick=(BOB,)), False)],
    ids=["any stage", "quick stages", "all stages of one tenant"],
)
def test_pictures_must_be_quick_where_stages_must(
    only: QuickOnly | None,
    must_be_quick: bool,  # noqa: FBT001 - a table
) -> None:
    task = a_task(BOB, SMALL)
    task.only = only

    assert task.requester.must_be_quick == must_be_quick
