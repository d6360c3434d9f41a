"""Decide whose picture a child decodes next, so that slow pictures leave one child to quick ones.

A picture is quick when it is not large (`time_limits`), and no picture of its tenant has been
decoded for more than two seconds in the last ten minutes, not counted what its child waited for a
core. Backgrounds and logos that tenants add are not quick. One child is reserved for quick
pictures; where no other tenant's come, it decodes all. A picture in it that is not quick, or does
not stay so, is stopped when other tenants' quick ones come. docs/decisions/0024 says why.

What decoding a picture may take, by its pixels and bytes.
"""

import io
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from smart_filter_shared.errors import DecodingStopped, InvalidInput
from smart_filter_shared.ids import OPERATOR, Tenant
from smart_filter_shared.security import heif_items, photo_header
from smart_filter_shared.security.photo_header import PhotoFormat

# A photo of 12 MP takes at most 0.4 s of a core, noise in the slowest format 1.1 s
# (docs/measurements.md). The same bound makes a stage long for the threads.
SLOW_SECONDS: Final = 2.0
# The number of the child for quick pictures.
RESERVED: Final = 0
# For so long, a tenant with a slow picture is slow, and a tenant's quick pictures count as coming.
_REMEMBERED_SECONDS: Final = 600.0
# Wait of a stage for a turn; then its thread goes back to the queue. Less than a quick picture can
# wait: each other thread has one before it at most.
_WAIT_SECONDS: Final = 10.0

# The slowest whole pictures measured, noise in HEIC and AVIF, take 0.09 s of a core for a megapixel
# (docs/measurements.md): a tenth of the rate, which leaves room for slow and busy machines. Bytes
# without pixels, such as metadata, take a few milliseconds for a megabyte. The base is for what a
# busy machine does before the child gets a core: a picture of a megapixel takes 0.02 s.
_BASE_SECONDS: Final = 10.0
_SECONDS_PER_MEGAPIXEL: Final = 0.9
_SECONDS_PER_MEGABYTE: Final = 0.25
# Less than SMART_FILTER_STAGE_SECONDS, at which the worker would end itself.
_MOST_SECONDS: Final = 60.0

# Megapixels of a photo that is not large: of most phones (docs/measurements.md).
ORDINARY_MEGAPIXELS: Final = 13.0
# Pixels of a phone's HEIC with all that is decoded for it, for each of its own: a grid counts its
# canvas and its tiles, and a gain map adds a quarter of both.
_ORDINARY_EXPANSION: Final = 3.0


@dataclass(frozen=True, slots=True)
class Requester:
    """For whom a picture is decoded.

    canceled: set when the picture is not needed any more; its decoding then ends.
    is_background: whether it is a picture that a tenant adds to its stock.
    is_trial: whether it is stopped as soon as it is slow.
    must_be_quick: whether it is refused unless it is quick, because its thread is for quick stages.
    wait_seconds: for a turn.
    """

    tenant: Tenant = OPERATOR
    canceled: threading.Event = field(default_factory=threading.Event)
    is_background: bool = False
    is_trial: bool = False
    must_be_quick: bool = False
    wait_seconds: float = _WAIT_SECONDS


@dataclass(slots=True, eq=False)
class Turn:
    """The place of one picture.

    child: the number of the child that decodes it.  began_at: when it got that child; None while
    it waits.  starved_seconds: how long that child has waited for a core since then.
    """

    requester: Requester
    is_large: bool
    child: int = RESERVED
    began_at: float | None = None
    starved_seconds: float = 0.0


class DecoderTurns:
    """The turns at some children; safe for threads.  clock: monotonic seconds."""

    def __init__(self, children: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._children = range(children)
        self._clock = clock
        self._waiting: list[Turn] = []  # in order of arrival
        self._running: list[Turn] = []
        # When a tenant's last quick picture came, and its last slow one ended.
        self._quick: dict[Tenant, float] = {}
        self._slow: dict[Tenant, float] = {}
        self._changed = threading.Condition()

    def begin(self, requester: Requester, *, is_large: bool = False) -> Turn:
        """Wait for a turn, and return it; `end` must follow.

        is_large: of the picture.
        Raises DecodingStopped when none came in time, or the picture is not quick and must be.
        """
        turn = Turn(requester, is_large)
        with self._changed:
            if self._is_quick(turn):
                self._quick[requester.tenant] = self._clock()
            elif requester.must_be_quick:
                self._slow[requester.tenant] = self._clock()
                raise DecodingStopped("the picture takes longer than its job's size tells")
            self._waiting.append(turn)
            try:
                has_turn = self._changed.wait_for(
                    lambda: self._is_next(turn), requester.wait_seconds
                )
            finally:
                self._waiting.remove(turn)
                self._changed.notify_all()
            if not has_turn:
                raise DecodingStopped("slower pictures take the decoder's time")
            turn.child = self._list_free(turn)[0]
            turn.began_at = self._clock()
            self._running.append(turn)
            return turn

    def restart(self, turn: Turn) -> None:
        """Count the time of a turn from now on: its child has been started."""
        with self._changed:
            turn.began_at = self._clock()

    def check(self, turn: Turn) -> None:
        """Raise DecodingStopped when a running picture must give up its child."""
        requester = turn.requester
        if requester.canceled.is_set():
            raise DecodingStopped("the picture is not needed any more")
        with self._changed:
            is_over = requester.is_trial and self._took_long(turn)
            if turn.child == RESERVED and not self._is_quick(turn):
                is_over |= self._has_company(requester.tenant)
        if is_over:
            raise DecodingStopped("decoding the picture takes long, and others come")

    def end(self, turn: Turn) -> None:
        """Give the child of a turn to the next picture."""
        with self._changed:
            self._running.remove(turn)
            if self._took_long(turn):
                tenant = turn.requester.tenant
                self._slow[tenant] = self._clock()
                self._quick.pop(tenant, None)
            self._changed.notify_all()

    def list_slow(self) -> set[Tenant]:
        """Return the tenants with a slow picture in the last minutes, or now."""
        with self._changed:
            self._forget()
            running = (turn.requester.tenant for turn in self._running if self._took_long(turn))
            return {*self._slow, *running}

    @property
    def waiting(self) -> int:
        """How many pictures wait for a turn."""
        with self._changed:
            return len(self._waiting)

    def _is_next(self, turn: Turn) -> bool:
        if turn.requester.canceled.is_set():
            raise DecodingStopped("the picture is not needed any more")
        return next((other for other in self._waiting if self._list_free(other)), None) is turn

    def _list_free(self, turn: Turn) -> list[int]:
        """Return the children that may decode a picture now, the best first."""
        held = {other.child for other in self._running}
        free = [child for child in self._children if child not in held]
        if self._is_quick(turn):
            return free
        has_company = self._has_company(turn.requester.tenant)
        return [child for child in reversed(free) if child != RESERVED or not has_company]

    def _is_quick(self, turn: Turn) -> bool:
        self._forget()
        requester = turn.requester
        is_slow = requester.is_background or requester.tenant in self._slow
        return not (turn.is_large or is_slow or self._took_long(turn))

    def _took_long(self, turn: Turn) -> bool:
        if turn.began_at is None:
            return False
        return self._clock() - turn.began_at - turn.starved_seconds > SLOW_SECONDS

    def _has_company(self, tenant: Tenant) -> bool:
        """Return whether quick pictures of another tenant come here."""
        return bool(self._quick.keys() - {tenant})

    def _forget(self) -> None:
        """Drop the tenants whose pictures came or ended long ago."""
        oldest = self._clock() - _REMEMBERED_SECONDS
        for times in (self._quick, self._slow):
            for gone in [name for name, then in times.items() if then < oldest]:
                del times[gone]


@dataclass(frozen=True, slots=True)
class DecodingCost:
    """What decoding a picture may take.

    limit_seconds: its time limit.  is_large: whether it has more pixels than an ordinary photo,
    or refers to more than one's.
    """

    limit_seconds: float
    is_large: bool


def estimate_cost(content: bytes) -> DecodingCost:
    """Return what a picture may take; its header is read, and no pixel."""
    file = io.BytesIO(content)
    megapixels = expansion = 0.0
    try:
        header = photo_header.read_header(file)
        megapixels = header.width * header.height / 1e6
        if header.format in {PhotoFormat.AVIF, PhotoFormat.HEIC}:
            expansion = heif_items.measure_expansion(file).pixels / 1e6
    except (InvalidInput, heif_items.ItemsRefused, struct.error):
        pass  # the child refuses it at once, and says why
    seconds = _SECONDS_PER_MEGAPIXEL * max(megapixels, expansion)
    seconds += _SECONDS_PER_MEGABYTE * len(content) / 1e6
    return DecodingCost(
        min(_MOST_SECONDS, _BASE_SECONDS + seconds),
        max(megapixels, expansion / _ORDINARY_EXPANSION) > ORDINARY_MEGAPIXELS,
    )
