"""Which tenants the threads of a worker may claim for."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import pytest

from smart_filter_shared.ids import Tenant
from smart_filter_shared.queue.heads import QuickOnly
from smart_filter_tests.clocks import MonotonicClock
from smart_filter_workers.decoder.time_limits import ORDINARY_MEGAPIXELS
from smart_filter_workers.runtime.claiming import thread_share
from smart_filter_workers.runtime.claiming.thread_share import ThreadShare

ANN, BOB, CEM, DAN = (Tenant(name) for name in ("ann", "bob", "cem", "dan"))


@dataclass
class Process:
    """A worker whose threads do what the test tells them.  slow: tenants at the decoder."""

    slow: list[Tenant]
    share: ThreadShare
    clock: MonotonicClock
    threads: list[ThreadPoolExecutor]

    def claim(self, thread: int) -> list[Tenant] | None:
        """Return the quick tenants if only quick stages may be claimed; None: all may."""
        only = self.claim_quick(thread)
        return None if only is None else list(only.quick)

    def claim_quick(self, thread: int) -> QuickOnly | None:
        return self.threads[thread].submit(self.share.begin_claim).result()

    def give_up(self, thread: int) -> None:
        self.threads[thread].submit(self.share.end_claim).result()

    def begin(self, thread: int, *tenants: Tenant, photos: int = 1) -> None:
        self.threads[thread].submit(self.share.begin_work, tenants, photos=photos).result()

    def end(self, thread: int, *, after: float, loading: float = 0.0) -> None:
        self.clock.now += after
        self.threads[thread].submit(self.share.end_work, loading_seconds=loading).result()

    def run(self, thread: int, *tenants: Tenant, seconds: float) -> None:
        self.begin(thread, *tenants)
        self.end(thread, after=seconds)


@contextmanager
def start(
    monkeypatch: pytest.MonkeyPatch, *, threads: int, others: bool = True
) -> Iterator[Process]:
    """Run a worker in which ann's stages are long and bob's are not.  others: whether bob came."""
    clock, slow = MonotonicClock(), list[Tenant]()
    monkeypatch.setattr(thread_share, "time", clock)
    with ExitStack() as stack:
        pools = [stack.enter_context(ThreadPoolExecutor(1)) for _ in range(threads)]
        process = Process(slow, ThreadShare(threads, list_slow=lambda: slow), clock, pools)
        if others:
            process.run(0, BOB, seconds=0.5)
            process.run(0, ANN, seconds=30)
        yield process


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> Iterator[Process]:
    with start(monkeypatch, threads=2) as started:
        yield started


def test_tenant_with_long_stages_gets_all_threads_but_one(process: Process) -> None:
    assert process.claim(0) is None
    process.begin(0, ANN)

    assert process.claim(1) == [BOB]


def test_thread_is_free_again_when_the_long_stage_ends(process: Process) -> None:
    process.run(0, ANN, seconds=30)

    assert process.claim(1) is None


def test_two_threads_that_claim_at_once_do_not_both_take_long_stages(process: Process) -> None:
    assert (process.claim(0), process.claim(1)) == (None, [BOB])


@pytest.mark.parametrize("found", [None, BOB])
def test_claim_of_something_else_frees_the_place(process: Process, found: Tenant | None) -> None:
    process.claim(0)
    if found is None:
        process.give_up(0)
    else:
        process.begin(0, found)

    assert process.claim(1) is None


def test_place_of_the_next_claim_outlasts_the_batch_that_ends(process: Process) -> None:
    process.begin(0, ANN)
    process.claim(0)  # by the transaction that completes the batch
    process.end(0, after=30)

    assert process.claim(1) == [BOB]


def test_running_stage_counts_before_its_end(process: Process) -> None:
    process.begin(0, CEM)
    process.clock.now += 3

    assert process.claim(1) == [BOB]


def test_next_claim_knows_that_its_own_batch_was_long(process: Process) -> None:
    process.begin(0, ANN)
    process.begin(1, CEM)
    process.clock.now += 3

    assert process.claim(1) == [BOB]


def test_long_tenants_share_the_threads(process: Process) -> None:
    process.run(1, CEM, seconds=30)
    process.begin(0, ANN)

    assert process.claim(1) == [BOB]


def test_loading_models_is_not_held_against_a_tenant(process: Process) -> None:
    process.begin(0, CEM)
    process.end(0, after=20, loading=19)
    process.begin(0, ANN)

    assert process.claim(1) == [BOB, CEM]


def test_batch_is_judged_by_the_time_of_a_photo(process: Process) -> None:
    process.begin(0, CEM, photos=8)
    process.end(0, after=9)
    process.begin(0, ANN)

    assert process.claim(1) == [BOB, CEM]


def test_long_stages_are_forgotten_after_ten_minutes(process: Process) -> None:
    process.run(1, BOB, seconds=1)
    process.clock.now += 599
    process.run(1, BOB, seconds=1)
    process.run(1, ANN, seconds=1)
    process.begin(0, ANN)

    assert process.claim(1) is None


def test_all_threads_are_for_one_who_is_alone(process: Process) -> None:
    process.clock.now += 590
    process.run(0, ANN, seconds=30)
    process.begin(0, ANN)

    assert process.claim(1) is None


def test_tenant_that_is_alone_is_not_its_own_other(monkeypatch: pytest.MonkeyPatch) -> None:
    with start(monkeypatch, threads=2, others=False) as process:
        process.run(0, ANN, seconds=0.5)
        process.run(0, ANN, seconds=30)
        process.begin(0, ANN)

        assert process.claim(1) is None


def test_large_photos_of_unknown_tenants_share_the_threads_with_long_ones(
    process: Process,
) -> None:
    process.begin(0, CEM)

    assert process.claim_quick(1) == QuickOnly((BOB,), (ANN,), ORDINARY_MEGAPIXELS)


def test_tenant_whose_first_stage_takes_long_is_not_unknown(process: Process) -> None:
    process.slow.append(DAN)
    process.begin(0, CEM)
    process.clock.now += 3

    assert process.claim_quick(1) == QuickOnly((BOB,), (ANN, CEM, DAN), ORDINARY_MEGAPIXELS)


def test_tenant_is_known_after_its_first_quick_stage(process: Process) -> None:
    process.run(0, CEM, seconds=1)
    process.begin(0, ANN)

    assert process.claim(1) == [BOB, CEM]


def test_tenant_with_slow_pictures_is_not_quick(process: Process) -> None:
    process.run(0, CEM, seconds=1)
    process.slow.append(CEM)
    process.begin(0, CEM)

    assert process.claim(1) == [BOB]


def test_on_a_busy_machine_long_is_what_takes_much_longer_than_others(process: Process) -> None:
    for _ in range(30):
        process.run(0, BOB, seconds=1.9)
    process.run(0, BOB, seconds=3)
    process.begin(0, ANN)

    assert process.claim(1) == [BOB]


def test_first_tenant_of_a_busy_machine_is_quick_next_to_a_slower_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with start(monkeypatch, threads=2, others=False) as process:
        process.run(0, BOB, seconds=5)
        process.run(0, ANN, seconds=30)
        process.begin(0, ANN)

        assert process.claim(1) == [BOB]


def test_single_thread_serves_all_tenants(monkeypatch: pytest.MonkeyPatch) -> None:
    with start(monkeypatch, threads=1) as process:
        assert process.claim(0) is None
