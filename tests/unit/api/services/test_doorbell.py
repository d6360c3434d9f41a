import threading
from collections.abc import Sequence

import anyio
import anyio.to_thread

from smart_filter_api.services.loops import QueuedDoorbell
from smart_filter_shared.ids import Capability

FACE, SMILE = Capability("face.bench"), Capability("smile.bench")


class Bell:
    """A doorbell whose first ring blocks until a test releases it."""

    def __init__(self, *, raises: bool = False) -> None:
        self.raises = raises
        self.stuck = threading.Event()
        self.may_ring = threading.Event()
        self.rung: list[list[Capability]] = []
        self.threads: set[int] = set()

    def __call__(self, due: Sequence[Capability]) -> None:
        self.stuck.set()
        self.may_ring.wait(timeout=60)
        self.rung.append(list(due))
        self.threads.add(threading.get_ident())
        if self.raises and len(self.rung) == 1:
            raise RuntimeError


def ring_meanwhile(bell: Bell, *due: list[Capability]) -> None:
    """Ring for a face; while that ring blocks, ring for these."""

    async def ring() -> None:
        doorbell = QueuedDoorbell(bell)
        async with anyio.create_task_group() as group:
            group.start_soon(doorbell.run)
            doorbell.ring([FACE])
            await anyio.to_thread.run_sync(bell.stuck.wait)
            for one in due:
                doorbell.ring(one)
            bell.may_ring.set()
            doorbell.end()

    anyio.run(ring)


def test_rings_during_a_blocked_ring_are_sent_together_afterwards() -> None:
    bell = Bell()

    ring_meanwhile(bell, *[[FACE, SMILE]] * 3)

    assert bell.rung == [[FACE], [FACE, SMILE] * 3]
    assert len(bell.threads) == 1


def test_waiting_rings_are_bounded() -> None:
    bell = Bell()

    ring_meanwhile(bell, [SMILE] * 100_000)

    assert sum(map(len, bell.rung)) <= 2000


def test_failed_ring_is_sent_again_next_time() -> None:
    bell = Bell(raises=True)

    ring_meanwhile(bell, [SMILE])

    assert bell.rung == [[FACE], [SMILE]]
