"""Where this machine may connect to on behalf of others: names are looked up and checked here.

A name is looked up once for a connection, and the connection goes to an address of that very
answer. Checking a name and leaving it to somebody else to connect to it would look it up
twice, and whoever serves the name may answer `8.8.8.8` first and `127.0.0.1` then ("DNS
rebinding").
"""

import ipaddress
import queue
import socket
import threading
from collections.abc import Callable, Sequence
from typing import Final

from smart_filter_shared.errors import PictureLate
from smart_filter_shared.settings import OutboundSettings
from smart_filter_workers.fetcher.ranges import IpAddress, IpNetwork, is_public

# What is usual for the web. On other ports other protocols listen, some of which can be talked
# into something by a request; and nobody is to scan others' ports from here.
PORTS: Final = frozenset({80, 443, 8080, 8443})

# Returns the IP addresses of a host's name; none when there is no such name. Raises OSError.
Resolve = Callable[[str], Sequence[str]]


class Guard:
    """Says which IP addresses of a host may be connected to; safe for threads.

    outbound: what the operator has opened though it is not public.
    """

    def __init__(self, outbound: OutboundSettings, resolve: Resolve) -> None:
        self._hosts = frozenset(host for host in outbound.allow if _network(host) is None)
        networks = (_network(text) for text in outbound.allow)
        self._networks = tuple(network for network in networks if network is not None)
        self._resolve = resolve

    def addresses(self, host: str, port: int, *, seconds: float) -> list[IpAddress]:
        """Return where a connection to a host may go; nowhere when that is nothing public.

        What was opened is preferred. Else every address of a name must be public: one that is
        mixed is a trick or a mistake.  Whether a name exists that is not public is not told.
        seconds: how long looking it up may take.
        Raises PictureLate when it takes longer, or nobody answers.
        """
        found = _parsed(self._answers(host, seconds))
        if host in self._hosts:
            return found
        opened = [one for one in found if self._is_opened(one)]
        if opened:
            return opened
        is_fine = port in PORTS and all(is_public(one) for one in found)
        return found if is_fine else []

    def _is_opened(self, address: IpAddress) -> bool:
        return any(
            address.version == network.version and address in network for network in self._networks
        )

    def _answers(self, host: str, seconds: float) -> Sequence[str]:
        if _address(host) is not None:
            return [host]
        # getaddrinfo knows no time limit: a thread waits for it, and is left behind when late.
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
            raise PictureLate("the name of its host was not looked up in time") from None
        if isinstance(answer, OSError):
            raise PictureLate("the name of its host cannot be looked up now") from answer
        return answer


def look_up(host: str) -> Sequence[str]:
    """Return the IP addresses of a name, as this machine resolves names; none when it has none.

    Raises OSError when nobody answers for the name now.
    """
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        if error.errno == socket.EAI_AGAIN:
            raise
        return []
    except UnicodeError:  # a label that is too long for the codec
        return []
    return list(dict.fromkeys(str(place[0]) for *_, place in found))


def _parsed(answers: Sequence[str]) -> list[IpAddress]:
    """Return addresses; an answer that is none makes all of them doubtful."""
    found = [_address(one) for one in answers]
    return [] if None in found else [one for one in found if one is not None]


def _address(text: str) -> IpAddress | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _network(text: str) -> IpNetwork | None:
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        return None
