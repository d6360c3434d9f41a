"""Bound the bytes of bodies that are under way, in the process and for each of its callers.

A body is held on disk or in memory from its first byte until its request has stored it. The bytes
that a request announces are taken before it sends them, so it is refused at once.
"""

import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from smart_filter_api.auth.api_keys import Caller
from smart_filter_api.intake.multipart import MAX_BODY_BYTES
from smart_filter_shared.errors import RateLimited, ServiceFull
from smart_filter_shared.ids import Tenant

# Every body takes a connection, a task and buffers, even one of a few bytes.
_LEAST_BYTES: Final = 65_536
# Most bodies take less than this at 40 Mbit/s.
_RETRY_SECONDS: Final = 2


@dataclass(frozen=True, slots=True)
class BodySender:
    """The tenant, and the device if any, that sends a body.

    device: the id of a device's key, or of the upload that a link names; None: a key of the tenant.
    """

    tenant: Tenant
    device: uuid.UUID | None = None

    @classmethod
    def from_caller(cls, caller: Caller | None) -> "BodySender | None":
        """Return the sender of a request; None without a key."""
        return None if caller is None else cls(caller.tenant, caller.device_key_id)


class BodyBudget:
    """The bytes of bodies under way in this process.

    most_bytes: the limit of all senders. The senders of a tenant have half of it, and no more than
        what stays free; a device key has the length of the largest form.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._held = 0
        self._of_senders: Counter[Tenant | uuid.UUID] = Counter()

    @contextmanager
    def hold(self, sender: BodySender | None) -> Iterator["HeldBody"]:
        """Hold a body's bytes until the block ends; sender: None for a request without a key."""
        held = HeldBody(self, sender)
        try:
            yield held
        finally:
            self._take(sender, -held.bytes)

    def grow(self, sender: BodySender | None, more: int) -> None:
        """Take bytes for a body.  Raises RateLimited, ServiceFull when too many are under way.

        Source of the bound by what stays free: Choudhury and Hahne, Dynamic Queue Length Thresholds
        (1998). However many tenants announce large bodies, another one's photo finds room.
        """
        held = 0
        if sender is not None:
            held = self._of_senders[sender.tenant]
            self._check_sender("this tenant", sender.tenant, more, self._most // 2)
            if sender.device is not None:
                name = sender.device
                self._check_sender("this device or link", name, more, MAX_BODY_BYTES)
        if held + more > self._most - self._held - more:
            raise ServiceFull(
                f"the server receives at most {self._most} bytes of bodies at a time, and has too "
                f"few left for this one; retry in {_RETRY_SECONDS} s",
                retry_after_seconds=_RETRY_SECONDS,
            )
        self._take(sender, more)

    def _check_sender(self, who: str, name: Tenant | uuid.UUID, more: int, most: int) -> None:
        if self._of_senders[name] + more > most:
            raise RateLimited(
                f"bodies of at most {most} bytes of {who} are received at a time; "
                f"retry in {_RETRY_SECONDS} s",
                retry_after_seconds=_RETRY_SECONDS,
            )

    def _take(self, sender: BodySender | None, more: int) -> None:
        self._held += more
        names = () if sender is None else (sender.tenant, sender.device)
        for name in names:
            if name is not None:
                self._of_senders[name] += more
                if not self._of_senders[name]:
                    del self._of_senders[name]


class HeldBody:
    """The bytes that one body has taken of a budget."""

    def __init__(self, budget: BodyBudget, sender: BodySender | None) -> None:
        self._budget = budget
        self._sender = sender
        self.bytes = 0

    def cover(self, length: int) -> None:
        """Take what a body of this length needs.  Raises RateLimited, ServiceFull."""
        more = max(length, _LEAST_BYTES) - self.bytes
        if more > 0:
            self._budget.grow(self._sender, more)
            self.bytes += more
