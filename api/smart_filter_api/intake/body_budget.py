"""Bound the bytes of bodies that are under way, in the process and for each of its callers.

A body is held on disk or in memory from its first byte until its request has stored it. The bytes
that a request announces are taken before it sends them, so it is refused at once.
"""

import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from smart_filter_api.auth.api_keys import Caller
from smart_filter_api.intake.multipart import MAX_BODY_BYTES
from smart_filter_shared.errors import RateLimited, ServiceFull
from smart_filter_shared.ids import Tenant

# Every body takes a connection, a task and buffers, even one of a few bytes.
_LEAST_BYTES: Final = 65_536
# Most bodies take less than this at 40 Mbit/s.
_RETRY_SECONDS: Final = 2


class BodyBudget:
    """The bytes of bodies under way in this process.

    most_bytes: of all callers; those of one tenant can have half of them, and a device key as many
        as the largest form has.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._held = 0
        self._of_callers: Counter[Tenant | uuid.UUID] = Counter()

    @contextmanager
    def hold(self, caller: Caller | None) -> Iterator["HeldBody"]:
        """Hold a body's bytes until the block ends; caller: None for a request without a key."""
        held = HeldBody(self, caller)
        try:
            yield held
        finally:
            self._take(caller, -held.bytes)

    def grow(self, caller: Caller | None, more: int) -> None:
        """Take bytes for a body.  Raises RateLimited, ServiceFull when too many are under way."""
        if caller is not None:
            self._check_caller("this tenant", caller.tenant, more, self._most // 2)
            if caller.device_key_id is not None:
                self._check_caller("this device", caller.device_key_id, more, MAX_BODY_BYTES)
        if self._held + more > self._most:
            raise ServiceFull(
                f"the server is receiving its maximum of {self._most} bytes of bodies; "
                f"retry in {_RETRY_SECONDS} s",
                retry_after_seconds=_RETRY_SECONDS,
            )
        self._take(caller, more)

    def _check_caller(self, who: str, name: Tenant | uuid.UUID, more: int, most: int) -> None:
        if self._of_callers[name] + more > most:
            raise RateLimited(
                f"bodies of at most {most} bytes of {who} are received at a time; "
                f"retry in {_RETRY_SECONDS} s",
                retry_after_seconds=_RETRY_SECONDS,
            )

    def _take(self, caller: Caller | None, more: int) -> None:
        self._held += more
        names = () if caller is None else (caller.tenant, caller.device_key_id)
        for name in names:
            if name is not None:
                self._of_callers[name] += more
                if not self._of_callers[name]:
                    del self._of_callers[name]


class HeldBody:
    """The bytes that one body has taken of a budget."""

    def __init__(self, budget: BodyBudget, caller: Caller | None) -> None:
        self._budget = budget
        self._caller = caller
        self.bytes = 0

    def cover(self, length: int) -> None:
        """Take what a body of this length needs.  Raises RateLimited, ServiceFull."""
        more = max(length, _LEAST_BYTES) - self.bytes
        if more > 0:
            self._budget.grow(self._caller, more)
            self.bytes += more
