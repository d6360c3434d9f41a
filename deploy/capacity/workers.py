"""Workers of a pool and their queues, and slots that many share, while a simulation runs."""

import heapq
from collections import deque
from dataclasses import dataclass, field

import simpy

from capacity.system import Pool, Stage


class Server:
    """Slots that are shared: whoever comes first has the next that is free."""

    def __init__(self, environment: simpy.Environment, slots: int) -> None:
        self.slots = slots
        self.used = 0.0
        self._environment = environment
        self._busy = 0
        self._waiting: deque[simpy.Event] = deque()

    def turn(self) -> simpy.Event:
        """Return what happens when a slot is free; it is taken then."""
        turn = self._environment.event()
        self._waiting.append(turn)
        self._hand_out()
        return turn

    def leave(self, seconds: float) -> None:
        """Give a slot back after so many seconds."""
        self.used += seconds
        self._busy -= 1
        self._hand_out()

    def _hand_out(self) -> None:
        while self._waiting and self._busy < self.slots:
            self._busy += 1
            self._waiting.popleft().succeed()


@dataclass(slots=True)
class Way:
    """A photo under way.

    open_needs: how many needs of each stage that it has still to run are open.
    """

    number: int
    arrived: float
    open_needs: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Worker:
    """One worker process.

    slots: what its threads compute on; resting: how many of them rest; is_leaving: claims no more.
    """

    slots: Server
    resting: int = 0
    is_leaving: bool = False


class Workers:
    """A pool at work: its workers, and its queues, one for each stage.

    under_way: how many rows they have claimed; used: for how many seconds slots have been used.
    """

    def __init__(self, environment: simpy.Environment, kind: Pool) -> None:
        self.kind = kind
        self.under_way = 0
        self.used = 0.0
        self._environment = environment
        self._workers: list[Worker] = []
        # Those with a thread that rests: Redis hands a ring to the process that has asked first,
        # which then asks again while it has such threads.
        self._listening: deque[Worker] = deque()
        self._queues: dict[int, tuple[Stage, list[tuple[int, Way]]]] = {}
        for worker in self.add(kind.workers):
            for _ in range(kind.threads):
                self.rest(worker)

    @property
    def workers(self) -> int:
        """How many workers there are."""
        return len(self._workers)

    @property
    def slots(self) -> int:
        """How many photos they compute at once."""
        return len(self._workers) * self.kind.slots

    @property
    def waiting(self) -> int:
        """How many rows are ready."""
        return sum(len(queue) for _, queue in self._queues.values())

    def add(self, workers: int) -> list[Worker]:
        """Have so many more workers, and return them; their threads do not rest yet."""
        added = [Worker(Server(self._environment, self.kind.slots)) for _ in range(workers)]
        self._workers.extend(added)
        return added

    def remove(self, workers: int) -> None:
        """Have so many fewer; what they have claimed they finish."""
        for _ in range(workers):
            self._workers.pop().is_leaving = True
        self._listening = deque(one for one in self._listening if not one.is_leaving)

    def put(self, way: Way, stage: Stage, place: int) -> None:
        """Put a row where its photo's number says."""
        _, queue = self._queues.setdefault(place, (stage, []))
        heapq.heappush(queue, (way.number, way))

    def take(self) -> tuple[Stage, list[Way]] | None:
        """Take the head, of equals that of the later stage, and what fits into its batch."""
        heads = [(queue[0][0], -place) for place, (_, queue) in self._queues.items() if queue]
        if not heads:
            return None
        stage, queue = self._queues[-min(heads)[1]]
        count = min(self.kind.batch_size, len(queue))
        return stage, [heapq.heappop(queue)[1] for _ in range(count)]

    def wake(self) -> Worker | None:
        """Return the worker that has listened longest, to wake a thread of; None: none rests."""
        if not self._listening:
            return None
        worker = self._listening.popleft()
        worker.resting -= 1
        if worker.resting:
            self._listening.append(worker)
        return worker

    def rest(self, worker: Worker) -> None:
        """Let a thread of a worker rest until it is rung."""
        if worker.is_leaving:
            return
        worker.resting += 1
        if worker.resting == 1:
            self._listening.append(worker)
