"""A client that retries until the server answers."""

import random
import threading
from collections.abc import Callable
from typing import TypeVar

from smart_filter_client import Client
from smart_filter_client.errors import Conflict, ServerUnreachable, TryLater, UnexpectedAnswer
from smart_filter_deploy.cli.server.connection import Server
from smart_filter_deploy.cli.terminal.signals import StopFlag

T = TypeVar("T")

_FIRST_PAUSE_SECONDS = 1.0
_MAX_PAUSE_SECONDS = 30.0


class StoppedWhileAway(Exception):
    """The command was stopped before the server answered again."""


class RetryingClient:
    """A client that waits for a server that is down, and follows it to a new address; thread-safe.

    find: returns the current server.  stop: ends the waiting.
    tell: called from any thread with the reason for waiting, and with None once the server answers.
    chance: returns a random number in [0, 1).
    """

    def __init__(
        self,
        find: Callable[[], Server | None],
        *,
        stop: StopFlag,
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
        """Call `what` with a client until the server answers; return its result.

        Raises the client's error when a retry would not help, and StoppedWhileAway.
        """
        pause = _FIRST_PAUSE_SECONDS
        while True:
            client = self._client()
            if client is None:
                why, seconds = "waiting for the server", self._chance() * pause
            else:
                try:
                    answer = what(client)
                except (ServerUnreachable, UnexpectedAnswer) as error:
                    why, seconds = (
                        f"waiting for the server ({error})",
                        self._chance() * pause,
                    )
                except TryLater as error:
                    why = f"the server asks to retry later ({error})"
                    # Random extra delay, so that not all threads retry at once.
                    seconds = (error.retry_after or 0.0) + self._chance() * pause
                except Conflict as error:
                    if error.code != "idempotency_in_progress":
                        raise
                    why, seconds = "the server is still reading the photo", self._chance() * pause
                else:
                    self._note(None)
                    return answer
            if self._stop.requested:
                raise StoppedWhileAway
            self._note(why)
            self._stop.wait(seconds)
            pause = min(_MAX_PAUSE_SECONDS, pause * 2)

    def close(self) -> None:
        """Close the connections."""
        for _, client in self._clients:
            client.close()

    def _client(self) -> Client | None:
        """Return a client of the current server, or None when there is none."""
        with self._lock:
            if self._clients and not self._is_away:
                return self._clients[-1][1]
            server = self._find()
            if server is None:
                return None
            if not self._clients or self._clients[-1][0] != server:
                # Other threads may still be using the previous client.
                self._clients.append((server, Client(server.url, server.api_key, attempts=1)))
            return self._clients[-1][1]

    def _note(self, why: str | None) -> None:
        with self._lock:
            was_away, self._is_away = self._is_away, why is not None
            if self._is_away or was_away:
                self._tell(why)
