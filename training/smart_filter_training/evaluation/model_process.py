"""Run one model in a process of its own, so that its time and memory can be measured alone."""

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

from smart_filter_shared.catalog.parameters import Parameters
from smart_filter_shared.errors import Error, SetupFailed
from smart_filter_shared.pipeline import TaskName
from smart_filter_training.evaluation import tasks
from smart_filter_workers.models import catalog
from smart_filter_workers.models.cache import ModelCache
from smart_filter_workers.system import memory, threads

EXIT_TIMEOUT_SECONDS: Final = 10


@dataclass(frozen=True, slots=True)
class TimedAnswer:
    """The answer of a model, with its processor time and its wall time.

    peak_mb: the peak memory of its process so far, in 10⁶ bytes.
    """

    answer: object
    cpu_seconds: float
    seconds: float
    peak_mb: float


@dataclass(frozen=True, slots=True)
class _ChildFailure:
    why: str


class ModelProcess:
    """A model of a task, loaded in a child process while the `with` block runs.

    The child runs nothing else, and its libraries use one thread.
    parameters: those of the model that differ from their defaults.  research: whether models may
    run that are not for commercial use.
    """

    def __init__(
        self,
        task: TaskName,
        name: str,
        weights: Path,
        parameters: Parameters | None = None,
        *,
        research: bool = True,
    ) -> None:
        self._name = name
        # Not forked: a fork would start with this process's memory and its libraries' locks.
        context = multiprocessing.get_context("spawn")
        self._connection, self._other_end = context.Pipe()
        self._process = context.Process(
            target=_serve,
            args=(self._other_end, task, name, weights, parameters or {}),
            kwargs={"research": research},
            name=f"smart-filter eval {name}",
            daemon=True,
        )

    def __enter__(self) -> Self:
        """Load the model.  Raises SetupFailed when it does not load."""
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
        self._process.join(EXIT_TIMEOUT_SECONDS)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def ask(self, question: object) -> TimedAnswer:
        """Run the model on one input and return its answer.  Raises SetupFailed when it fails."""
        self._connection.send(question)
        answered = self._receive()
        assert isinstance(answered, TimedAnswer)
        return answered

    def _receive(self) -> object:
        try:
            received: object = self._connection.recv()
        except (EOFError, ConnectionError) as error:
            self._process.join(EXIT_TIMEOUT_SECONDS)
            raise SetupFailed(
                f"model {self._name} ended its process with status {self._process.exitcode}"
            ) from error
        if isinstance(received, _ChildFailure):
            raise SetupFailed(f"model {self._name}: {received.why}")
        return received


def _serve(
    connection: Connection,
    task: TaskName,
    name: str,
    weights: Path,
    parameters: Parameters,
    *,
    research: bool,
) -> None:
    """Load the model and answer questions until the parent closes the connection."""
    # Ctrl-C reaches all processes of a terminal; here the parent ends this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Messages of native libraries do not belong into the figures.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
    try:
        discovered = catalog.discover_models(research=research)
        models = ModelCache(discovered, weights, memory_limit=memory.get_limit(None))
        model = models.for_stage({task: name}, {task: parameters})[task]
        threads.limit_native_threads()
        code = tasks.get_task(task)
        connection.send(None)
        while True:
            question = connection.recv()
            started, started_cpu = time.perf_counter(), time.process_time()
            answer = code.answer(model, question)
            cpu, took = time.process_time() - started_cpu, time.perf_counter() - started
            connection.send(TimedAnswer(answer, cpu, took, _peak_mb()))
    except (EOFError, ConnectionError):
        return
    except Error as error:
        connection.send(_ChildFailure(str(error)))
    except Exception as error:  # noqa: BLE001 - the top of a process: the parent reports it
        connection.send(_ChildFailure(f"{type(error).__name__}: {error}"))


def _peak_mb() -> float:
    """Return the peak memory of this process in 10⁶ bytes.

    Not by getrusage: its value starts at what the parent held when this process was created.
    """
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    kilobytes = next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]
    return int(kilobytes) * 1024 / 1e6
