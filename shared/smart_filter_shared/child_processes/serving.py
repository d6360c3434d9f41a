"""The start of a child that runs a function of ours, and its side of the socket.

It imports only a little of the standard library: the function may lock the process before it loads
anything large.
"""

import importlib
import pickle
import resource
import signal
import socket
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from smart_filter_shared.child_processes import parent_death

# The length of the pickle that follows, in bytes.
HEADER_BYTES = 8


def main() -> None:
    """Run the function of the command line, `SOCKET PARENT MODULE:FUNCTION`, with the socket."""
    descriptor, parent, target = sys.argv[1:]
    parent_death.exit_with_parent(int(parent))
    # The parent alone ends this process. Other senders mean the whole service, and the parent first
    # finishes what is under way.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    module, _, name = target.partition(":")
    with socket.socket(fileno=int(descriptor)) as connection:
        connection.set_inheritable(False)
        getattr(importlib.import_module(module), name)(connection)


def set_limits(limits: Mapping[int, int]) -> None:
    """Limit this process; limits: the most by RLIMIT_…, which it cannot raise again."""
    for limit, most in limits.items():
        resource.setrlimit(limit, (most, most))


def read_questions(connection: socket.socket) -> Iterator[Any]:  # Any: what the parent pickled
    """Yield the questions of the parent, until it closes the socket."""
    with connection.makefile("rb") as reader:
        while header := reader.read(HEADER_BYTES):
            yield pickle.loads(reader.read(int.from_bytes(header)))  # noqa: S301 - by our parent


def send_answer(connection: socket.socket, answer: object) -> None:
    """Send an answer to the parent."""
    connection.sendall(pack(answer))


def pack(message: object) -> bytes:
    """Return a message with its length."""
    content = pickle.dumps(message)
    return len(content).to_bytes(HEADER_BYTES) + content
