"""Run one model in a process of its own, so that its time and memory can be measured alone."""

import socket
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from smart_filter_shared.catalog.parameters import Parameters
from smart_filter_shared.child_processes import serving
from smart_filter_shared.child_processes.python_child import ChildDied, PythonChild
from smart_filter_shared.errors import Error, SetupFailed
from smart_filter_shared.pipeline import TaskName
from smart_filter_training.evaluation import tasks
from smart_filter_workers.models import catalog
from smart_filter_workers.models.cache import ModelCache
from smart_filter_workers.system import resources


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
        self._model = (task, name, weights, parameters or {}, research)
        self._child: PythonChild | None = None

    def __enter__(self) -> Self:
        """Load the model.  Raises SetupFailed when it does not load."""
        # Messages of native libraries do not belong into the figures.
        self._child = PythonChild(f"{__name__}:serve")
        try:
            self._ask(self._model)
        except BaseException:
            self._child.end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._child is not None
        self._child.__exit__(kind, error, traceback)

    def ask(self, question: object) -> TimedAnswer:
        """Run the model on one input and return its answer.  Raises SetupFailed when it fails."""
        answered = self._ask(question)
        assert isinstance(answered, TimedAnswer)
        return answered

    def _ask(self, question: object) -> object:
        assert self._child is not None  # entered
        try:
            answered = self._child.ask(question)
        except ChildDied as error:
            raise SetupFailed(f"model {self._name} ended its process with {error}") from error
        if isinstance(answered, _ChildFailure):
            raise SetupFailed(f"model {self._name}: {answered.why}")
        return answered


def serve(parent: socket.socket) -> None:
    """Load the model of the first question, and answer the others until the parent has ended."""
    questions = serving.read_questions(parent)
    try:
        task, name, weights, parameters, research = next(questions)
        discovered = catalog.discover_models(research=research)
        models = ModelCache(discovered, weights, memory_limit=resources.get_limit(None))
        model = models.for_stage({task: name}, {task: parameters})[task]
        resources.limit_native_threads()
        code = tasks.get_task(task)
        serving.send_answer(parent, None)
        for question in questions:
            started, started_cpu = time.perf_counter(), time.process_time()
            answer = code.answer(model, question)
            cpu, took = time.process_time() - started_cpu, time.perf_counter() - started
            serving.send_answer(parent, TimedAnswer(answer, cpu, took, _peak_mb()))
    except Error as error:
        serving.send_answer(parent, _ChildFailure(str(error)))
    except Exception as error:  # noqa: BLE001 - the top of a process: the parent reports it
        serving.send_answer(parent, _ChildFailure(f"{type(error).__name__}: {error}"))


def _peak_mb() -> float:
    """Return the peak memory of this process in 10⁶ bytes.

    Not by getrusage: its value starts at what the parent held when this process was created.
    """
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    kilobytes = next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]
    return int(kilobytes) * 1024 / 1e6
