"""Supervise long-lived loops: a thread or task outlives the errors of its steps.

A loop takes each step inside `SupervisedLoop.step` and waits `pause_seconds` before the next one:

    loop = SupervisedLoop("sweep", every_seconds=1)
    while not stopping.wait(loop.pause_seconds):
        with loop.step():
            sweep()

An event loop's task does the same with `await anyio.sleep(loop.pause_seconds)`.

A step that never returns raises nothing. A process therefore has a `Watchdog`, which its main loop
feeds: when the loop is stuck, the process ends, and its supervisor starts another.
"""

import faulthandler
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from smart_filter_shared.errors import TryAgain
from smart_filter_shared.telemetry.logs import logger

# Pause between two tries while a server is down: it may return at any moment, and a try is cheap.
_AWAY_SECONDS: Final = 1.0
# An event loop that runs nothing for this long is stuck. With the restart, the process works again
# within about 30 s.
_STUCK_SECONDS: Final = 25.0
# For a process that starts or stops: imports, and models whose loading blocks the interpreter.
_START_SECONDS: Final = 120.0
# Share of the limit after which `feed` sets the timer again: setting it starts a thread (0.2 ms).
_FEED_SHARE: Final = 0.2
# Pause after the first defect in a row; each further defect doubles it.
_FIRST_PAUSE_SECONDS: Final = 1.0


class StepRefused(Exception):
    """A server refused a step, and will refuse the next one until an operator acts."""


class SupervisedLoop:
    """Logs, counts and backs off from the failures of one long-lived loop.

    While a server is down (TryAgain), the step is tried again each second, without a limit. Any
    other error is a defect: it is logged with its traceback once, not at each repetition, and the
    pause doubles. The same goes for StepRefused, without the traceback. After `most_failures` of
    them in a row `step` raises the last one, so that the process ends and its supervisor starts
    another.

    name: the loop's name in the log.  every_seconds: pause between two successful steps.
    longest_pause_seconds: limit of the backoff.
    most_failures: with the default values the loop gives up after 7.5 minutes; None: never.
    """

    def __init__(
        self,
        name: str,
        *,
        every_seconds: float,
        longest_pause_seconds: float = 30.0,
        most_failures: int | None = 20,
    ) -> None:
        self._name = name
        self._every_seconds = every_seconds
        self._longest_pause_seconds = longest_pause_seconds
        self._most_failures = math.inf if most_failures is None else most_failures
        self._defects = 0
        self._failures = 0  # in a row, of both kinds
        self._logged = ""
        self._log = logger("supervision")

    @property
    def pause_seconds(self) -> float:
        """Seconds to wait before the next step."""
        if not self.is_failing:
            return self._every_seconds
        if not self._defects:
            return _AWAY_SECONDS
        doubled = _FIRST_PAUSE_SECONDS * 2.0 ** (min(self._defects, 32) - 1)
        return min(self._longest_pause_seconds, doubled)

    @property
    def is_failing(self) -> bool:
        """Whether the last step failed."""
        return self._logged != ""

    @contextmanager
    def step(self) -> Iterator[None]:
        """Contain the errors of one step.  Raises the last defect after too many in a row."""
        try:
            yield
        except TryAgain as error:
            self._defects = 0
            self._failures += 1
            # A server that is down causes different messages; one line covers all of them.
            if self._is_new_error(type(error).__name__):
                self._log.warning("server_unavailable", loop=self._name, reason=str(error))
        except Exception as error:
            self._defects += 1
            self._failures += 1
            if self._is_new_error(f"{type(error).__name__}: {error}"):
                if isinstance(error, StepRefused):
                    self._log.error("server_refuses", loop=self._name, reason=str(error))
                else:
                    self._log.exception("loop_step_failed", loop=self._name)
            if self._defects >= self._most_failures:
                self._log.error("loop_stopped", loop=self._name, failures=self._defects)
                raise
        else:
            self.recover()

    def recover(self) -> None:
        """Note that the loop works: after a step, or within one that lasts."""
        if self.is_failing:
            self._log.info("loop_recovered", loop=self._name, failures=self._failures)
        self._defects, self._failures, self._logged = 0, 0, ""

    def _is_new_error(self, error: str) -> bool:
        before, self._logged = self._logged, error
        return error != before


class Watchdog:
    """Ends the process, with the traceback of each thread, when its main loop is stuck.

    The timer runs in C: it also fires when an extension holds the interpreter, and no Python code
    runs. A process has one timer, so it has one watchdog. It is off until `allow` arms it.

    stuck_seconds: the longest time without `feed`.
    """

    def __init__(self, stuck_seconds: float = _STUCK_SECONDS) -> None:
        self._stuck_seconds = stuck_seconds
        self._fed_at = -math.inf  # on the monotonic clock
        self._is_fed = False

    @property
    def pause_seconds(self) -> float:
        """The longest pause of a loop between two calls of `feed`."""
        return self._stuck_seconds * _FEED_SHARE

    def feed(self) -> None:
        """Note that the loop makes progress."""
        now = time.monotonic()
        if self._is_fed and now - self._fed_at >= self.pause_seconds:
            self._fed_at = now
            _set_timer(self._stuck_seconds)

    def allow(self, seconds: float = _START_SECONDS) -> None:
        """Give the process this time until the next `feed`, such as for its start."""
        self._is_fed = True
        self._fed_at = -math.inf
        _set_timer(seconds)

    def limit(self, seconds: float) -> None:
        """Give the process this time to end; `feed` has no effect any more."""
        self._is_fed = False
        _set_timer(seconds)

    def stop(self) -> None:
        """Stop the timer, because the loop has ended in order."""
        self._is_fed = False
        faulthandler.cancel_dump_traceback_later()


def _set_timer(seconds: float) -> None:
    # Standard error by its number, even if `sys.stderr` was replaced.
    faulthandler.dump_traceback_later(seconds, exit=True, file=2)
