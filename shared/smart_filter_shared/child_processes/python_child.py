"""A child that runs a function of ours, and answers over a socket.

The function gets the socket (`serving`). A child of bytes (`send`, `receive_into`) may be hostile:
it gets no more than a limit of time. The answers of `ask` are pickles: of our own code only.
"""

import math
import os
import pickle
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from smart_filter_shared.child_processes import programs, serving
from smart_filter_shared.child_processes.programs import Output
from smart_filter_shared.security import search_paths

# How often a limit is looked at.
_CHECK_SECONDS: Final = 0.2
# Until a child has ended by itself: its libraries may have much to free.
_GRACE_SECONDS: Final = 10.0


class ChildDied(Exception):
    """The child has ended without an answer; the message says how."""


def _continue() -> None:
    """Let a child go on."""


@dataclass(frozen=True, slots=True)
class Limit:
    """How long a child may work.

    ends_at: on the monotonic clock.  check: called while it works; may raise to give it up.
    """

    ends_at: float = math.inf
    check: Callable[[], None] = _continue

    @classmethod
    def after(cls, seconds: float, check: Callable[[], None] = _continue) -> Self:
        """Return the limit that ends in some seconds."""
        return cls(time.monotonic() + seconds, check)


class PythonChild:
    """A child that runs a function; ends with the `with` block, and with this process.

    serve: the function, as `package.module:function`.
    environment: the variables it gets; None for those of this process.
    output: where what it prints goes.
    niceness: added to that of this process.
    grace_seconds: how long it may take to end by itself.
    """

    def __init__(
        self,
        serve: str,
        *,
        environment: Mapping[str, str] | None = None,
        output: Output = subprocess.DEVNULL,
        niceness: int = 0,
        grace_seconds: float = _GRACE_SECONDS,
    ) -> None:
        self._grace_seconds = grace_seconds
        self._socket, theirs = socket.socketpair()
        variables = dict(os.environ if environment is None else environment)
        search_paths.leave_working_folder(variables)
        # Not `-m`: what is pickled must not name `__main__`.
        command = f"from {serving.__name__} import main; main()"
        with theirs:
            try:
                self._process = programs.start(
                    [
                        *(sys.executable, "-P", "-c", command),
                        *(str(theirs.fileno()), str(os.getpid()), serve),
                    ],
                    env=variables,
                    output=output,
                    inherit=[theirs.fileno()],
                )
            except BaseException:
                self._socket.close()
                raise
        mine = os.getpriority(os.PRIO_PROCESS, 0)
        os.setpriority(os.PRIO_PROCESS, self._process.pid, mine + niceness)

    def __enter__(self) -> Self:
        """Return the child."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the child; at once after an error."""
        if kind is not None:
            self._grace_seconds = 0.0
        self.end()

    @property
    def pid(self) -> int:
        """The number of its process."""
        return self._process.pid

    def ask(self, question: object, limit: Limit = Limit()) -> object:
        """Send a question and return its answer, both as pickles.

        Raises ChildDied, TimeoutError, and what `limit.check` raises.
        """
        self.send(serving.pack(question), limit)
        header = bytearray(serving.HEADER_BYTES)
        self.receive_into(memoryview(header), limit)
        answer = bytearray(int.from_bytes(header))
        self.receive_into(memoryview(answer), limit)
        return pickle.loads(answer)  # noqa: S301 - written by our own child

    def send(self, content: bytes, limit: Limit) -> None:
        """Send bytes.  Raises ChildDied, TimeoutError, and what `limit.check` raises."""
        left = memoryview(content)
        while left:
            left = left[self._transfer(self._socket.send, left, limit) :]

    def receive_into(self, buffer: memoryview, limit: Limit) -> None:
        """Receive bytes until a buffer is full.  Raises as `send` does."""
        while buffer:
            count = self._transfer(self._socket.recv_into, buffer, limit)
            if not count:
                raise self._died_error()
            buffer = buffer[count:]

    def end(self) -> None:
        """Let the child end, and wait until the kernel has removed it."""
        self._socket.close()
        programs.end(self._process, grace_seconds=self._grace_seconds)

    def _transfer(
        self, transfer: Callable[[memoryview], int], part: memoryview, limit: Limit
    ) -> int:
        while True:
            seconds_left = max(0.001, limit.ends_at - time.monotonic())
            self._socket.settimeout(min(_CHECK_SECONDS, seconds_left))
            try:
                return transfer(part)
            except TimeoutError:
                if time.monotonic() >= limit.ends_at:
                    raise
                limit.check()
            except OSError as error:
                raise self._died_error() from error

    def _died_error(self) -> ChildDied:
        status = programs.end(self._process, grace_seconds=self._grace_seconds)
        return ChildDied(f"status {status}")
