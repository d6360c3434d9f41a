"""What photos go through: stages, pools of workers, shared servers, and how times are spread."""

import random
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field

Draw = Callable[[random.Random, float], float]


def fixed(chance: random.Random, mean: float) -> float:
    """Draw what is always the same."""
    del chance
    return mean


def exponential(chance: random.Random, mean: float) -> float:
    """Draw what forgets how long it has lasted."""
    return chance.expovariate(1 / mean)


def spread(sigma: float) -> Draw:
    """Return how to draw log-normal times; sigma: the standard deviation of their logarithm."""

    def draw(chance: random.Random, mean: float) -> float:
        return mean * chance.lognormvariate(-sigma * sigma / 2, sigma)

    return draw


@dataclass(frozen=True, slots=True)
class Visit:
    """A turn at a shared server: it takes one of the server's slots for so many seconds."""

    server: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A stop on the way.  pool: whose workers run it.

    batch_seconds: what a batch takes beside all else, however many photos are in it;
    photo_seconds: what each adds; forward_seconds: how long each computes, at a slot of its
    worker's.  claim, complete: turns of a batch at shared servers; load, store: of each photo.
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
        """For how long one photo keeps a thread busy when nobody else is there."""
        visits = (*self.claim, *self.load, *self.store, *self.complete)
        own = self.batch_seconds + self.photo_seconds + self.forward_seconds
        return own + sum(visit.seconds for visit in visits)


@dataclass(frozen=True, slots=True)
class Pool:
    """Workers that are alike.

    threads: of each worker; slots: how many of them compute at once, on its cores or its GPU.
    batch_size: the most photos that one claim takes.  wake_seconds: from a ring until a thread
    that has rested goes to claim.
    """

    workers: int
    _: KW_ONLY
    threads: int = 1
    slots: int = 1
    batch_size: int = 1
    wake_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """All that photos go through.

    accept: a photo's turns before its first stage.  servers: slots of each, by name.
    draw: how times of stages are spread; those of servers are fixed.
    """

    stages: tuple[Stage, ...]
    pools: Mapping[str, Pool]
    servers: Mapping[str, int] = field(default_factory=dict)
    accept: tuple[Visit, ...] = ()
    draw: Draw = fixed
