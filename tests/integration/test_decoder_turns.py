"""Six tenants whose photos hang a decoder do not stop a seventh, and what is canceled ends."""

import dataclasses
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

import smart_filter_tests
from smart_filter_shared.config.settings import OutboundSettings
from smart_filter_shared.ids import JobId, Tenant
from smart_filter_shared.jobs.photo_queue import CLIENT
from smart_filter_tests import face_worker
from smart_filter_tests.bench import TENANT, Bench
from smart_filter_tests.clocks import MonotonicClock
from smart_filter_tests.face_worker import FaceWorker
from smart_filter_tests.pictures import encode
from smart_filter_tests.stages import FACE
from smart_filter_workers.artifacts.store import ArtifactStore
from smart_filter_workers.decoder import turns
from smart_filter_workers.decoder.pool import DecoderPool
from smart_filter_workers.fetcher import Fetcher
from smart_filter_workers.runtime import runner
from smart_filter_workers.runtime.claiming.thread_share import ThreadShare
from smart_filter_workers.stock.tenant_backgrounds import TenantBackgrounds
from smart_filter_workers.system.lru_cache import LruCache

TESTS = Path(smart_filter_tests.__file__).parents[1]
HANGS = b"hang"
HONEST = Tenant("honest")
ATTACKERS = [Tenant(f"attacker-{number}") for number in range(6)]


@dataclass
class Decoding:
    """A worker of two threads that remembers no photo, and whose decoder an attacker owns."""

    bench: Bench
    worker: FaceWorker
    clock: MonotonicClock

    def submit(self, tenant: Tenant, photo: bytes) -> JobId:
        job_id = self.worker.submit(tenant=tenant)
        self.bench.store.put(f"{job_id}", photo, length=len(photo), media_type="image/png")
        self.bench.execute(
            "UPDATE jobs SET photo_digest = NULL, megapixels = 1 WHERE id = :id", id=job_id
        )
        return job_id

    def state(self, job_id: JobId) -> object:
        return self.bench.row(job_id, FACE)["state"]

    @contextmanager
    def serve(self) -> Iterator[None]:
        """Work in two threads; at the end, what is under way loses its lease."""
        ended = threading.Event()

        def work() -> None:
            while not ended.is_set():
                runner.run_turn(self.worker.context)

        with ThreadPoolExecutor(2) as threads:
            working = [threads.submit(work), threads.submit(work)]
            try:
                yield
            finally:
                ended.set()
                while not all(future.done() for future in working):
                    self.lose_all()
        for future in working:
            future.result()

    def lose_all(self) -> None:
        for task in self.worker.context.heartbeat.in_time():
            task.lost.set()

    def pass_time_while_all_threads_hang(self) -> None:
        """Let a moment pass if no thread works for the honest tenant.

        Not more, as the decoder looks at its clock now and then only, and after ten minutes it has
        forgotten the honest tenant.
        """
        held = self.worker.context.heartbeat.in_time()
        tenants = [None if task.row is None else task.row.tenant for task in held]
        if len(tenants) == 2 and HONEST not in tenants and None not in tenants:
            self.clock.now += 0.03


@pytest.fixture
def decoding(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Iterator[Decoding]:
    monkeypatch.setenv("PYTHONPATH", str(TESTS))
    monkeypatch.setattr(turns, "_BASE_SECONDS", 100_000)
    monkeypatch.setattr(turns, "_MOST_SECONDS", 100_000)
    clock = MonotonicClock()
    with ExitStack() as stack:
        pool = DecoderPool(serve="integration.forging_decoder:serve", clock=clock.monotonic)
        stack.callback(pool.close)
        started = stack.enter_context(face_worker.start(bench, threads=2))
        nothing = LruCache(0)
        backgrounds = TenantBackgrounds(bench.engine, bench.store, nothing)
        fetcher = Fetcher(OutboundSettings())
        artifacts = ArtifactStore(bench.store, nothing, backgrounds, fetcher, pool)
        started.context = dataclasses.replace(
            started.context,
            artifacts=artifacts,
            thread_share=ThreadShare(2, list_slow=pool.list_slow_tenants),
        )
        yield Decoding(bench, started, clock)


def a_photo(number: int) -> bytes:
    return encode(Image.new("RGB", (8, 8), (number, 0, 0)), "PNG")


@pytest.mark.slow
def test_six_tenants_whose_photos_hang_leave_a_thread_and_a_child_to_a_seventh(
    decoding: Decoding,
) -> None:
    decoding.submit(HONEST, a_photo(0))
    runner.run_turn(decoding.worker.context)
    attacks = [decoding.submit(tenant, HANGS) for tenant in ATTACKERS for _ in range(2)]
    photos = [decoding.submit(HONEST, a_photo(number)) for number in range(1, 6)]

    with decoding.serve():
        while {decoding.state(job_id) for job_id in photos} != {"succeeded"}:
            decoding.pass_time_while_all_threads_hang()
        states = [decoding.state(job_id) for job_id in attacks]

    assert states.count("running") <= 2
    assert set(states) <= {"running", "ready", "waiting"}


def list_children() -> list[str]:
    """Return the processes of the decoder that this process has started."""
    lists = Path("/proc/self/task").glob("*/children")
    pids = [pid for path in lists for pid in path.read_text("ascii").split()]
    commands = {pid: Path(f"/proc/{pid}/cmdline").read_bytes() for pid in pids}
    return [pid for pid, command in commands.items() if b"forging_decoder" in command]


def test_child_ends_when_the_job_is_canceled_while_its_picture_is_decoded(
    decoding: Decoding,
) -> None:
    canceled = decoding.submit(TENANT, HANGS)

    with ThreadPoolExecutor(1) as threads:
        turn = threads.submit(runner.run_turn, decoding.worker.context)
        while not list_children():
            pass
        decoding.bench.do(CLIENT.cancel, canceled, tenant=TENANT)
        decoding.worker.context.heartbeat.beat()
        turn.result()

    assert list_children() == []
    assert decoding.state(canceled) == "canceled"


def test_decoding_ends_when_the_lease_is_lost(decoding: Decoding) -> None:
    canceled = decoding.submit(HONEST, HANGS)

    with ThreadPoolExecutor(1) as threads:
        turn = threads.submit(runner.run_turn, decoding.worker.context)
        while not decoding.worker.context.heartbeat.in_time():
            pass
        decoding.bench.execute("DELETE FROM jobs WHERE id = :id", id=canceled)
        decoding.lose_all()
        turn.result()

    assert decoding.worker.context.heartbeat.in_time() == []
