"""The whole of it: three servers, then the caller's commands; watched, and stopped together."""

import dataclasses
import logging
import os
import signal
import time
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from smart_filter_deploy.embedded import postgres, s3, valkey
from smart_filter_deploy.embedded.addresses import Addresses, StackAddress
from smart_filter_deploy.embedded.backoff import Backoff
from smart_filter_deploy.embedded.children import (
    Child,
    Command,
    family,
    wait_until_ended,
    wait_until_ready,
)
from smart_filter_deploy.embedded.folder import DataFolder
from smart_filter_deploy.embedded.signals import StopRequest

_LOOK_SECONDS = 0.2  # the end of a child ends a wait sooner
_log = logging.getLogger(__name__)


class Stack:
    """An embedded stack on a data folder, up while the `with` block lasts.

    On entry the three servers are started and ready; on exit everything is stopped, the last
    started first. Use it in the main thread only.

    stop: given by who wants SIGINT and SIGTERM to stop the stack in order.
    """

    addresses: Addresses

    def __init__(self, folder: DataFolder, *, stop: StopRequest | None = None) -> None:
        self.folder = folder
        self._stop = stop or StopRequest()
        self._held = ExitStack()
        self._children_lock = -1
        self._tiers: list[list[_Watched]] = []

    def __enter__(self) -> Self:
        """Raise SetupFailed when a server does not start or another stack holds the folder."""
        self._children_lock = self._held.enter_context(self.folder.held())
        try:
            self.addresses = self._start_servers()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def environment(self) -> dict[str, str]:
        """The variables that tell a process of ours where everything is."""
        return {
            **self.addresses.environment(),
            "SMART_FILTER_DATA": str(self.folder.path),
            "SMART_FILTER_SECRETS_KEY": self.folder.secret("sealing-key"),
        }

    def start(self, *commands: Command) -> None:
        """Start commands as one tier and return when all are ready, or have ended if `once`.

        Each has our own environment, `environment`, and then its `env`.

        Raises SetupFailed when one ends instead or is not ready in time.
        """
        ours = {**os.environ, **self.environment}
        self._start_tier(
            dataclasses.replace(command, env={**ours, **command.env}) for command in commands
        )

    def announce(self, *, url: str, api_key: str) -> StackAddress:
        """Let other processes find this stack by `running_stack`; call it when all is ready."""
        address = StackAddress(url=url, api_key=api_key, pid=os.getpid(), servers=self.addresses)
        self.folder.announce(address)
        return address

    def supervise(self) -> None:
        """Start again whatever dies, until somebody asks to stop."""
        while not self._stop.requested:
            self.tend()
            self._stop.wait(_LOOK_SECONDS)

    def tend(self) -> None:
        """Look at every child once, and start again those that died and have waited enough."""
        for watched in self._watched():
            watched.tend()

    def stop(self) -> None:
        """Stop everything, the last started first, and let go of the folder."""
        self.folder.withdraw()
        while self._tiers:
            children = [watched.child for watched in self._tiers.pop()]
            for child in children:
                child.ask_to_stop()
            wait_until_ended(children, self._stop)
        self._held.close()

    def pid(self, name: str) -> int | None:
        """The process id of the child of that name, or None when it does not run."""
        return self._child(name).pid

    def pids(self, name: str) -> tuple[int, ...]:
        """The process ids of the child of that name and of all that descends from it."""
        pid = self._child(name).pid
        return () if pid is None else family(pid)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all children, in the order of their start."""
        return tuple(watched.child.command.name for watched in self._watched())

    def send(self, name: str, number: signal.Signals) -> None:
        """Send a signal to the child of that name."""
        self._child(name).send(number)

    def kill(self, name: str) -> None:
        """Kill the child of that name and return when it is gone; `tend` starts it again."""
        child = self._child(name)
        child.send_to_group(signal.SIGKILL)
        wait_until_ended([child], self._stop)

    def restart(self, name: str) -> None:
        """Stop the child of that name in order, start it again, and return when it is ready.

        Raises SetupFailed when it does not come back.
        """
        child = self._child(name)
        child.ask_to_stop()
        wait_until_ended([child], self._stop)
        child.start()
        wait_until_ready([child], self._stop)

    def _start_servers(self) -> Addresses:
        # All at once, PostgreSQL last: the first time it has its data to create, while the
        # others start. They stop one after the other: S3, Valkey, PostgreSQL.
        valkey_command, broker_url = valkey.prepare(self.folder)
        s3_command, storage_url, secret_key = s3.prepare(self.folder)
        broker, storage = self._child_of(valkey_command), self._child_of(s3_command)
        self._tiers = [[], [broker], [storage]]
        broker.child.start()
        storage.child.start()
        server = postgres.prepare(self.folder, self._children_lock, self._stop)
        database = self._child_of(server.command)
        self._tiers[0].append(database)
        database.child.start()
        wait_until_ready([watched.child for watched in self._watched()], self._stop)
        server.create_database()
        return Addresses(
            database_url=server.url,
            broker_url=broker_url,
            storage_url=storage_url,
            storage_access_key=s3.ACCESS_KEY,
            storage_secret_key=secret_key,
        )

    def _start_tier(self, commands: Iterable[Command]) -> None:
        tier = [self._child_of(command) for command in commands]
        self._tiers.append(tier)
        for watched in tier:
            watched.child.start()
        wait_until_ready([watched.child for watched in tier], self._stop)

    def _child_of(self, command: Command) -> "_Watched":
        return _Watched(Child(command, self.folder, self._children_lock))

    def _watched(self) -> "list[_Watched]":
        return [watched for tier in self._tiers for watched in tier]

    def _child(self, name: str) -> Child:
        return next(
            watched.child for watched in self._watched() if watched.child.command.name == name
        )


@dataclass(slots=True)
class _Watched:
    """A child that is started again when it dies."""

    child: Child
    backoff: Backoff = field(default_factory=Backoff)
    due: float | None = None  # on the monotonic clock; None while it runs

    def tend(self) -> None:
        if self.child.command.once or not self.child.ended():
            return
        name = self.child.command.name
        if self.due is None:
            pause = self.backoff.after(self.child.lived_seconds)
            self.due = time.monotonic() + pause
            _log.warning(
                "%s ended (%s) after %.1f s; starting it again in %.1f s; its log: %s",
                *(name, self.child.exit_status, self.child.lived_seconds, pause),
                self.child.log,
            )
        if time.monotonic() >= self.due:
            self.due = None
            try:
                self.child.start()
            except OSError as error:  # a full disk, no memory: the next look tries again
                _log.warning("%s cannot be started: %s", name, error)
