"""The workers, queues and shared slots of a running simulation."""

import heapq
from collections import deque
from dataclasses import dataclass, field

import simpy

from benchmarks.capacity.system import Pool, Stage


class SharedServer:
    """Shared slots, given out in the order of the requests."""

    def __init__(self, environment: simpy.Environment, slots: int) -> None:
        self.slots = slots
        self.used = 0.0
        self._environment = environment
        self._busy = 0
        self._waiting: deque[simpy.Event] = deque()

    def turn(self) -> simpy.Event:
        """Return an event that fires when a slot is free and taken."""
        turn = self._environment.event()
        self._waiting.append(turn)
        self._hand_out()
        return turn

    def leave(self, seconds: float) -> None:
        """Give a slot back that was used for some seconds."""
        self.used += seconds
        self._busy -= 1
        self._hand_out()

    def _hand_out(self) -> None:
        while self._waiting and self._busy < self.slots:
            self._busy += 1
            self._waiting.popleft().succeed()


@dataclass(slots=True)
class PhotoInFlight:
    """A photo in progress.

    open_needs: the number of open needs of each stage that has not run.
    """

    number: int
    arrived: float
    open_needs: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Worker:
    """One worker process.

    slots: its cores or GPU; resting: how many threads are idle; is_leaving: claims no more.
    """

    slots: SharedServer
    resting: int = 0
    is_leaving: bool = False


class WorkerPool:
    """A pool at work: its workers, and its queues, one for each stage.

    under_way: the rows that its workers have claimed; used: the seconds of slots in use.
    """

    def __init__(self, environment: simpy.Environment, kind: Pool) -> None:
        self.kind = kind
        self.under_way = 0
        self.used = 0.0
        self._environment = environment
        self._workers: list[Worker] = []
        # Workers with an idle thread: Redis hands a ring to the process that asked first, which
        # asks again while it has idle threads.
        self._listening: deque[Worker] = deque()
        self._queues: dict[int, tuple[Stage, list[tuple[int, PhotoInFlight]]]] = {}
        for worker in self.add(kind.workers):
            for _ in range(kind.threads):
                self.rest(worker)

    @property
    def workers(self) -> int:
        """The number of workers."""
        return len(self._workers)

    @property
    def slots(self) -> int:
        """The number of photos that they compute at once."""
        return len(self._workers) * self.kind.slots

    @property
    def waiting(self) -> int:
        """The number of ready rows."""
        return sum(len(queue) for _, queue in self._queues.values())

    def add(self, workers: int) -> list[Worker]:
        """Add workers and return them; their threads are not idle yet."""
        added = [Worker(SharedServer(self._environment, self.kind.slots)) for _ in range(workers)]
        self._workers.extend(added)
        return added

    def remove(self, workers: int) -> None:
        """Remove workers; they finish the rows that they have claimed."""
        for _ in range(workers):
            self._workers.pop().is_leaving = True
        self._listening = deque(worker for worker in self._listening if not worker.is_leaving)

    def put(self, way: PhotoInFlight, stage: Stage, place: int) -> None:
        """Queue a row by its photo's number."""
        _, queue = self._queues.setdefault(place, (stage, []))
        heapq.heappush(queue, (way.number, way))

    def take(self) -> tuple[Stage, list[PhotoInFlight]] | None:
        """Take the head of the queues and a batch of its stage; later stages go first."""
        heads = [(queue[0][0], -place) for place, (_, queue) in self._queues.items() if queue]
        if not heads:
            return None
        stage, queue = self._queues[-min(heads)[1]]
        count = min(self.kind.batch_size, len(queue))
        return stage, [heapq.heappop(queue)[1] for _ in range(count)]

    def wake(self) -> Worker | None:
        """Return the worker that has listened longest and wake one of its threads, or None."""
        if not self._listening:
            return None
        worker = self._listening.popleft()
        worker.resting -= 1
        if worker.resting:
            self._listening.append(worker)
        return worker

    def rest(self, worker: Worker) -> None:
        """Let a thread of a worker rest until its next ring."""
        if worker.is_leaving:
            return
        worker.resting += 1
        if worker.resting == 1:
            self._listening.append(worker)
