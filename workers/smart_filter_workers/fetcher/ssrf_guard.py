"""The SSRF guard: looks up host names and checks where this machine may connect for clients.

A name is looked up once per connection, and the connection goes to an address of that very
answer. If one component checked the name and another connected to it, the name would be looked up
twice, and its DNS server could answer `8.8.8.8` first and `127.0.0.1` next ("DNS rebinding").
"""

import queue
import socket
import threading
from collections.abc import Callable, Sequence

from smart_filter_shared.config.settings import OutboundSettings
from smart_filter_shared.errors import PictureTemporarilyUnreachable
from smart_filter_shared.security.outbound_rules import OutboundRules, parse_address
from smart_filter_shared.security.public_ranges import IpAddress

# Returns the IP addresses of a host's name; none when there is no such name. Raises OSError.
Resolve = Callable[[str], Sequence[str]]


def permit(rules: OutboundRules, host: str, port: int, answers: Sequence[str]) -> list[IpAddress]:
    """Return the addresses to which a connection to a host may go; none if it is not public.

    answers: the IP addresses of its name.  The result does not reveal whether a name exists that is
    not public.
    """
    return rules.permit(host, port, _parse_addresses(answers))


class SsrfGuard:
    """Decides which IP addresses of a host may be connected to; safe for threads.

    outbound: the non-public hosts that the operator allows.
    """

    def __init__(self, outbound: OutboundSettings, resolve: Resolve) -> None:
        self._rules = OutboundRules(outbound.allow)
        self._resolve = resolve

    def addresses(self, host: str, port: int, *, seconds: float) -> list[IpAddress]:
        """Look up a host, and return the addresses that `permit` permits.

        seconds: the time limit of the lookup.
        Raises PictureTemporarilyUnreachable when it takes longer, or no name server answers.
        """
        return permit(self._rules, host, port, self._answers(host, seconds))

    def _answers(self, host: str, seconds: float) -> Sequence[str]:
        if parse_address(host) is not None:
            return [host]
        # getaddrinfo has no time limit: a thread waits for it, and is abandoned when it is late.
        answers: queue.SimpleQueue[Sequence[str] | OSError] = queue.SimpleQueue()

        def ask() -> None:
            try:
                answers.put(self._resolve(host))
            except OSError as error:
                answers.put(error)

        threading.Thread(target=ask, name="look-up", daemon=True).start()
        try:
            answer = answers.get(timeout=max(0.0, seconds))
        except queue.Empty:
            raise PictureTemporarilyUnreachable(
                "the name of its host was not looked up in time"
            ) from None
        if isinstance(answer, OSError):
            raise PictureTemporarilyUnreachable(
                "the name of its host cannot be looked up now"
            ) from answer
        return answer


def resolve_host(host: str) -> Sequence[str]:
    """Return the IP addresses of a name, by this machine's resolver; none if there are none.

    Raises OSError when no name server answers now.
    """
    try:
        places = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        if error.errno == socket.EAI_AGAIN:
            raise
        return []
    except UnicodeError:  # a label that is too long for the codec
        return []
    return list(dict.fromkeys(str(place[0]) for *_, place in places))


def _parse_addresses(answers: Sequence[str]) -> list[IpAddress]:
    """Return the parsed addresses; if one is invalid, return none."""
    addresses = [parse_address(answer) for answer in answers]
    return [] if None in addresses else [address for address in addresses if address is not None]
