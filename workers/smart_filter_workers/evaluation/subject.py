"""One model in a process of its own, so that its time and its memory are nobody else's."""

import multiprocessing
import os
import signal
import sys
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from smart_filter_shared.cards import TaskName
from smart_filter_shared.errors import Error, SetupFailed
from smart_filter_shared.parameters import Parameters
from smart_filter_workers import catalogue, memory, native_threads
from smart_filter_workers.evaluation import tasks
from smart_filter_workers.loaded import LoadedModels

END_SECONDS: Final = 10


@dataclass(frozen=True, slots=True)
class Answered:
    """What a model answered: in so many seconds of one processor, and of the clock.

    peak_mb: the most memory that its process has held so far, in 10⁶ bytes.
    """

    answer: object
    cpu_seconds: float
    seconds: float
    peak_mb: float


@dataclass(frozen=True, slots=True)
class _Failed:
    why: str


class Subject:
    """A model of a task, loaded in a child process for as long as the `with` block lasts.

    Nothing else is in that process, and the libraries work in one thread.
    parameters: those of the model that are not at their defaults.
    """

    def __init__(
        self, task: TaskName, name: str, weights: Path, parameters: Parameters | None = None
    ) -> None:
        self._name = name
        # Not forked: it would begin with this process's memory and its libraries' locks.
        context = multiprocessing.get_context("spawn")
        self._connection, self._other_end = context.Pipe()
        self._process = context.Process(
            target=_serve,
            args=(self._other_end, task, name, weights, parameters or {}),
            name=f"smart-filter eval {name}",
            daemon=True,
        )

    def __enter__(self) -> Self:
        """Load the model.  Raises SetupFailed when that does not work."""
        self._process.start()
        self._other_end.close()
        self._receive()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._connection.close()
        self._process.join(END_SECONDS)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def ask(self, question: object) -> Answered:
        """Have the model look.  Raises SetupFailed when it cannot."""
        self._connection.send(question)
        answered = self._receive()
        assert isinstance(answered, Answered)
        return answered

    def _receive(self) -> object:
        try:
            received: object = self._connection.recv()
        except (EOFError, ConnectionError) as error:
            self._process.join(END_SECONDS)
            raise SetupFailed(
                f"model {self._name} ended its process with status {self._process.exitcode}"
            ) from error
        if isinstance(received, _Failed):
            raise SetupFailed(f"model {self._name}: {received.why}")
        return received


def _serve(
    connection: Connection, task: TaskName, name: str, weights: Path, parameters: Parameters
) -> None:
    """Be the child: load, then answer until nobody asks any more."""
    # Ctrl-C reaches all of a terminal's processes; the parent ends this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # What the native libraries say there is not for whoever reads the figures.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
    try:
        models = LoadedModels(catalogue.find(), weights, room=memory.room(None))
        model = models.of({task: name}, {task: parameters})[task]
        native_threads.one_per_call()
        code = tasks.of(task)
        connection.send(None)
        while True:
            question = connection.recv()
            started, started_cpu = time.perf_counter(), time.process_time()
            answer = code.answer(model, question)
            cpu, took = time.process_time() - started_cpu, time.perf_counter() - started
            connection.send(Answered(answer, cpu, took, _peak_mb()))
    except (EOFError, ConnectionError):
        return
    except Error as error:
        connection.send(_Failed(str(error)))
    except Exception as error:  # noqa: BLE001 - the top of a process: the parent tells it
        connection.send(_Failed(f"{type(error).__name__}: {error}"))


def _peak_mb() -> float:
    """Return the most memory this process has held.

    Not getrusage: its figure begins with what the parent held when this process was made.
    """
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    kilobytes = next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]
    return int(kilobytes) * 1024 / 1e6
