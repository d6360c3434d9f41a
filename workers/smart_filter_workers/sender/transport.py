"""The interface through which the sender reaches a receiver, and its answers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class EndpointAnswer:
    """The answer of a receiver.

    content: its first kilobyte.  retry_after: the unparsed header, or None.
    """

    status: int
    content: bytes
    retry_after: str | None = None


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """A receiver that gave no answer.

    why: a reason for the webhook's owner; it reveals nothing of our internal network.
    """

    why: str


class WebhookTransport(Protocol):
    """Sends to addresses that tenants have named."""

    async def post(
        self, url: str, *, headers: Mapping[str, str], body: bytes
    ) -> EndpointAnswer | NoAnswer:
        """Send a body and return the outcome, within the transport's own time limit."""
        ...
