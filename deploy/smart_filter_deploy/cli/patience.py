"""Asks a server, and waits for it however long it is away."""

import random
import threading
from collections.abc import Callable
from typing import TypeVar

from smart_filter_client import Client
from smart_filter_client.errors import Conflict, ServerUnreachable, TryLater, UnexpectedAnswer
from smart_filter_deploy.cli.connection import Server
from smart_filter_deploy.cli.stopping import Stop

T = TypeVar("T")

_FIRST_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 30.0


class GivenUp(Exception):
    """Somebody asked to stop before the server was back."""


class Patience:
    """A server that may go away and come back, elsewhere too; safe to share between threads.

    find: where the server is now.  stop: ends the waiting.
    tell: told why it is waited for, and None once it answers again; from any thread.
    chance: 0 to 1, evenly.
    """

    def __init__(
        self,
        find: Callable[[], Server | None],
        *,
        stop: Stop,
        tell: Callable[[str | None], None],
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._find = find
        self._stop = stop
        self._tell = tell
        self._chance = chance
        self._lock = threading.Lock()
        self._clients: list[tuple[Server, Client]] = []
        self._is_away = False

    def ask(self, what: Callable[[Client], T]) -> T:
        """Return what a server answers.

        Raises what the client raises when asking again would not help, and GivenUp.
        """
        pause = _FIRST_PAUSE_SECONDS
        while True:
            client = self._client()
            if client is None:
                why, seconds = "the server is away, waiting for it", self._chance() * pause
            else:
                try:
                    answer = what(client)
                except (ServerUnreachable, UnexpectedAnswer) as error:
                    why, seconds = (
                        f"the server is away, waiting for it ({error})",
                        self._chance() * pause,
                    )
                except TryLater as error:
                    why = f"the server asks to wait ({error})"
                    # A little later than asked, so that not all threads come at once.
                    seconds = (error.retry_after or 0.0) + self._chance() * pause
                except Conflict as error:
                    if error.code != "idempotency_in_progress":
                        raise
                    why, seconds = "the server still reads the photo", self._chance() * pause
                else:
                    self._note(None)
                    return answer
            if self._stop.requested:
                raise GivenUp
            self._note(why)
            self._stop.wait(seconds)
            pause = min(_LONGEST_PAUSE_SECONDS, pause * 2)

    def close(self) -> None:
        """Close the connections."""
        for _, client in self._clients:
            client.close()

    def _client(self) -> Client | None:
        """Return a client of where the server is by now."""
        with self._lock:
            if self._clients and not self._is_away:
                return self._clients[-1][1]
            server = self._find()
            if server is None:
                return None
            if not self._clients or self._clients[-1][0] != server:
                # Others may be in the middle of something with the former one.
                self._clients.append((server, Client(server.url, server.api_key, attempts=1)))
            return self._clients[-1][1]

    def _note(self, why: str | None) -> None:
        with self._lock:
            was_away, self._is_away = self._is_away, why is not None
            if self._is_away or was_away:
                self._tell(why)
