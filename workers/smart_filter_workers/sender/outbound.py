"""How a receiver is reached: what the sender asks of whoever connects to it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Answer:
    """What a receiver said.

    content: the first kilobyte of it.  retry_after: that header, as it came, or None.
    """

    status: int
    content: bytes
    retry_after: str | None = None


@dataclass(frozen=True, slots=True)
class Silence:
    """A receiver that gave no answer.

    why: for whoever owns the webhook; it tells nothing of a network of ours.
    """

    why: str


class Outbound(Protocol):
    """Sends to addresses that others name."""

    async def post(self, url: str, *, headers: Mapping[str, str], body: bytes) -> Answer | Silence:
        """Send a body and return what came of it, within its own limit of time."""
        ...
