"""Describe a simulated service: stages, pools of workers and shared servers."""

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field


@dataclass(frozen=True, slots=True)
class Visit:
    """A turn at a shared server: it takes one of the server's slots for some seconds."""

    server: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A stage of a photo.  pool: the pool whose workers run it.

    batch_seconds: the fixed time of a batch of any size; photo_seconds: the time that each photo
    adds; forward_seconds: the time that each photo computes at a slot of its worker.
    claim, complete: turns of a batch at shared servers; load, store: turns of each photo.
    """

    name: str
    pool: str
    needs: tuple[str, ...] = ()
    batch_seconds: float = 0.0
    photo_seconds: float = 0.0
    forward_seconds: float = 0.0
    claim: tuple[Visit, ...] = ()
    load: tuple[Visit, ...] = ()
    store: tuple[Visit, ...] = ()
    complete: tuple[Visit, ...] = ()

    @property
    def alone_seconds(self) -> float:
        """The time that one photo keeps a thread busy when the servers are idle."""
        visits = (*self.claim, *self.load, *self.store, *self.complete)
        seconds = self.batch_seconds + self.photo_seconds + self.forward_seconds
        return seconds + sum(visit.seconds for visit in visits)


@dataclass(frozen=True, slots=True)
class Pool:
    """A pool of identical workers.

    threads: of each worker; slots: how many of them compute at once, on its cores or its GPU.
    batch_size: the most photos that one claim takes.  wake_seconds: from a ring until an idle
    thread claims.
    """

    workers: int
    _: KW_ONLY
    threads: int = 1
    slots: int = 1
    batch_size: int = 1
    wake_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """A simulated service.

    accept: a photo's turns before its first stage.  servers: slots of each, by name.
    """

    stages: tuple[Stage, ...]
    pools: Mapping[str, Pool]
    servers: Mapping[str, int] = field(default_factory=dict)
    accept: tuple[Visit, ...] = ()
