"""Run an embedded stack: one or two servers, then the caller's commands, supervised together."""

import contextlib
import dataclasses
import importlib.util
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from smart_filter_deploy.embedded import postgres, valkey
from smart_filter_deploy.embedded.addresses import Addresses, StackAddress
from smart_filter_deploy.embedded.child_processes import (
    Child,
    Command,
    StopRequest,
    process_tree,
    wait_until_ended,
    wait_until_ready,
)
from smart_filter_deploy.embedded.folder import DataFolder
from smart_filter_deploy.process_secrets import select_variables
from smart_filter_shared.config import NO_BROKER
from smart_filter_shared.security.signing_certificate import CERTIFICATE, KEY

# Variables that say where programs and files are, and how they run; none is a secret. Only uvicorn
# reads FORWARDED_ALLOW_IPS.
PLAIN_VARIABLES = (
    *("PATH", "HOME", "TMPDIR", "TZ", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "LD_PRELOAD"),
    *("PYTHONPATH", "PYTHONHOME", "PYTHONWARNINGS", "PYTHONDONTWRITEBYTECODE"),
    *("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "FORWARDED_ALLOW_IPS"),
)
_POLL_SECONDS = 0.2  # the end of a child ends a wait sooner


class Stack:
    """An embedded stack on a data folder, up while the `with` block lasts.

    Entering the block starts the servers and waits until they are ready. Leaving it stops all
    processes, the last started first. Use it in the main thread only.

    stop: the caller's stop request, if SIGINT and SIGTERM should stop the stack in order.
    broker: whether Valkey runs; without it workers poll the database alone.
    """

    addresses: Addresses

    def __init__(
        self, folder: DataFolder, *, stop: StopRequest | None = None, broker: bool = True
    ) -> None:
        self.folder = folder
        self._has_broker = broker
        self._stop = stop or StopRequest()
        self._held = ExitStack()
        self._children_lock = -1
        self._tiers: list[list[Child]] = []

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
        """The environment variables with the stack's addresses, data folder and key."""
        return {
            **self.addresses.environment(),
            "SMART_FILTER_DATA": str(self.folder.path),
            "SMART_FILTER_SECRETS_KEY": self.folder.secret("sealing-key"),
            **(self.folder.read_certificate() if _needs_certificate() else {}),
        }

    def start(self, *commands: Command, join: bool = False) -> None:
        """Start commands as one tier and wait until all are ready, or have ended if `once`.

        Each gets this process's environment, then `environment`, both without the secrets that its
        kind of process does not need, then its own `env`. One that does not use the servers gets
        only PLAIN_VARIABLES, then its own `env`: others may be secrets.

        join: whether they belong to the last tier, and stop together with it.
        Raises SetupFailed when one ends or is not ready in time.
        """
        last = self._tiers.pop() if join else []
        started = self._new_tier(commands)
        self._tiers.append([*last, *started])
        self._run(started)

    def start_tiers(self, *tiers: Sequence[Command]) -> None:
        """Start several tiers at once, and wait as `start` does; the last one stops first.

        Raises SetupFailed when a command ends or is not ready in time.
        """
        started = [self._new_tier(commands) for commands in tiers]
        self._tiers += started
        self._run([child for tier in started for child in tier])

    def announce(
        self,
        *,
        url: str,
        api_key: str,
        operators_url: str | None = None,
        https_url: str | None = None,
    ) -> StackAddress:
        """Let other processes find this stack with `running_stack`; call it when all is ready."""
        address = StackAddress(
            url=url,
            api_key=api_key,
            pid=os.getpid(),
            servers=self.addresses,
            operators_url=operators_url,
            https_url=https_url,
        )
        self.folder.announce(address)
        return address

    def supervise(self) -> None:
        """Restart children that die, until a stop is requested."""
        while not self._stop.requested:
            self.tend()
            self._stop.wait(_POLL_SECONDS)

    def tend(self) -> None:
        """Check every child once; restart each dead child whose backoff is over."""
        for child in self._children():
            child.restart_if_dead()
            child.bound_log()

    def stop(self) -> None:
        """Stop all processes, the last started first, and release the folder."""
        with contextlib.suppress(OSError):  # read-only; the lock tells that no stack runs
            self.folder.withdraw()
        while self._tiers:
            children = self._tiers.pop()
            for child in children:
                child.ask_to_stop()
            wait_until_ended(children, self._stop)
        self._held.close()

    def pid(self, name: str) -> int | None:
        """Return the process id of the child of that name, or None when it does not run."""
        return self._child(name).pid

    def pids(self, name: str) -> tuple[int, ...]:
        """Return the process ids of the child of that name and of its descendants."""
        pid = self._child(name).pid
        return () if pid is None else process_tree(pid)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all children, in the order of their start."""
        return tuple(child.command.name for child in self._children())

    def send(self, name: str, number: signal.Signals) -> None:
        """Send a signal to the child of that name."""
        self._child(name).send(number)

    def kill(self, name: str) -> None:
        """Kill the child of that name and wait for its end; `tend` restarts it."""
        child = self._child(name)
        child.send_to_group(signal.SIGKILL)
        wait_until_ended([child], self._stop)

    def restart(self, name: str) -> None:
        """Stop the child of that name in order, start it again, and wait until it is ready.

        Raises SetupFailed when it does not start.
        """
        child = self._child(name)
        child.ask_to_stop()
        wait_until_ended([child], self._stop)
        child.start()
        wait_until_ready([child], self._stop)

    def _start_servers(self) -> Addresses:
        # Valkey starts while PostgreSQL creates its data the first time, and stops before it.
        starting, broker_url = [], NO_BROKER
        if self._has_broker:
            valkey_command, broker_url = valkey.prepare(self.folder)
            starting.append(valkey_command)
        servers = len(starting)
        if _needs_certificate():
            starting.append(_make_certificate(self.folder))
        self._tiers = [[], [self._new_child(command) for command in starting]]
        for child in self._tiers[1]:
            child.start()
        server = postgres.prepare(self.folder, self._children_lock, self._stop)
        database = self._new_child(server.command)
        self._tiers[0].append(database)
        database.start()
        wait_until_ready(self._children(), self._stop)
        del self._tiers[1][servers:]  # the certificate's process has ended
        server.create_database()
        return Addresses(
            database_url=server.url,
            broker_url=broker_url,
            storage_url=self.folder.objects().as_uri(),
        )

    def _new_tier(self, commands: Sequence[Command]) -> list[Child]:
        plain, environment = _read_plain_variables(), self.environment
        tier = []
        for command in commands:
            given = plain
            if command.uses_servers:
                process = command.process
                role = None if process is None else process.database_role
                given = {**os.environ, **environment, **self.addresses.environment(role)}
                if process is not None:
                    given = select_variables(given, process)
            env = {**given, **command.env}
            tier.append(self._new_child(dataclasses.replace(command, env=env)))
        return tier

    def _run(self, children: Sequence[Child]) -> None:
        needed = [child for child in children if not child.waits_for_client()]
        for child in needed:
            child.start()
        wait_until_ready(needed, self._stop)

    def _new_child(self, command: Command) -> Child:
        return Child(command, self.folder, self._children_lock)

    def _children(self) -> list[Child]:
        return [child for tier in self._tiers for child in tier]

    def _child(self, name: str) -> Child:
        return next(child for child in self._children() if child.command.name == name)


def _read_plain_variables() -> dict[str, str]:
    return {name: os.environ[name] for name in PLAIN_VARIABLES if name in os.environ}


def _needs_certificate() -> bool:
    """Return whether c2pa is installed, and the operator has set no certificate for it."""
    is_set = any(os.environ.get(name) for name in (CERTIFICATE, KEY))
    return not is_set and importlib.util.find_spec("c2pa") is not None


def _make_certificate(folder: DataFolder) -> Command:
    module = "smart_filter_deploy.embedded.c2pa_certificate"
    return Command(
        name="certificate",
        argv=(sys.executable, "-P", "-m", module, str(folder.path)),
        env=_read_plain_variables(),
        once=True,
        cwd=Path("/"),
    )
