"""Rings beside the requests: one at a time, none lost, nobody waits."""

import threading
from collections.abc import Sequence

import anyio
import anyio.to_thread

from smart_filter_api.ringing import Ringer
from smart_filter_shared.ids import Capability

FACE, SMILE = Capability("face.bench"), Capability("smile.bench")


class Bell:
    """A doorbell that is stuck until it is told to ring."""

    def __init__(self) -> None:
        self.stuck = threading.Event()
        self.may_ring = threading.Event()
        self.rung: list[list[Capability]] = []
        self.threads: set[int] = set()

    def __call__(self, due: Sequence[Capability]) -> None:
        self.stuck.set()
        self.may_ring.wait(timeout=30)
        self.rung.append(list(due))
        self.threads.add(threading.get_ident())


def test_rings_that_come_while_the_broker_is_stuck_are_rung_together_afterwards() -> None:
    bell = Bell()

    async def ring() -> None:
        ringer = Ringer(bell)
        async with anyio.create_task_group() as group:
            group.start_soon(ringer.run)
            ringer.ring([FACE])
            await anyio.to_thread.run_sync(bell.stuck.wait)
            for _ in range(3):
                ringer.ring([FACE, SMILE])
            bell.may_ring.set()
            ringer.end()

    anyio.run(ring)

    assert bell.rung == [[FACE], [FACE, SMILE] * 3]
    assert len(bell.threads) == 1


def test_what_is_due_is_bounded() -> None:
    bell = Bell()

    async def ring() -> None:
        ringer = Ringer(bell)
        async with anyio.create_task_group() as group:
            group.start_soon(ringer.run)
            ringer.ring([FACE])
            await anyio.to_thread.run_sync(bell.stuck.wait)
            ringer.ring([SMILE] * 100_000)
            bell.may_ring.set()
            ringer.end()

    anyio.run(ring)

    assert sum(map(len, bell.rung)) <= 2000


def test_bell_that_raises_rings_again_next_time() -> None:
    rung: list[list[Capability]] = []
    seen = threading.Event()

    def bell(due: Sequence[Capability]) -> None:
        rung.append(list(due))
        seen.set()
        if len(rung) == 1:
            raise RuntimeError

    async def ring() -> None:
        ringer = Ringer(bell)
        async with anyio.create_task_group() as group:
            group.start_soon(ringer.run)
            ringer.ring([FACE])
            await anyio.to_thread.run_sync(seen.wait)
            ringer.ring([SMILE])
            ringer.end()

    anyio.run(ring)

    assert rung == [[FACE], [SMILE]]
