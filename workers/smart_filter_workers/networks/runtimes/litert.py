"""LiteRT networks, callable from any thread: a few interpreters serve all threads."""

import os
from collections.abc import Mapping
from pathlib import Path
from queue import LifoQueue
from typing import Any, Final
from weakref import WeakSet

from smart_filter_workers.results import Floats

# Of the networks in the package mediapipe. Source: their authors' papers, such as Kartynnik et al.
# 2019, section 3, "in-house dataset".
MEDIAPIPE_DATA_TERMS = (
    "a data set of Google's own, not published; Google releases the weights under Apache-2.0"
)


# Threads for each interpreter of a network. Each network takes 1 to 4 % of a default job's time, so
# threads seldom wait for each other; a second set of interpreters would take 86 MB.
_THREADS: Final = 4


class LiteRtNetwork:
    """One network with one input, read once and run with one native thread for each caller.

    An interpreter keeps its tensors between calls, so it serves one caller at a time.
    Raises ValueError when the file is not a LiteRT model.
    """

    def __init__(self, path: Path) -> None:
        self._content = path.read_bytes()
        # None stands for one that is opened when all others are in use.
        self._idle: LifoQueue[Any] = LifoQueue()
        for _ in range((os.cpu_count() or 1) // _THREADS):
            self._idle.put(None)
        # A file that cannot run fails here, not with the first photo.
        self._idle.put(self._open())
        _networks.add(self)

    def __call__(self, picture: Floats) -> Mapping[str, Floats]:
        """Return the network's outputs for a float32 picture, by their names in the file.

        Outputs are float32, of the shapes that the network declares; they are new arrays.
        """
        interpreter = self._idle.get()
        try:
            interpreter = interpreter or self._open()
            interpreter.set_tensor(interpreter.get_input_details()[0]["index"], picture)
            interpreter.invoke()
            return {
                output["name"]: interpreter.get_tensor(output["index"])
                for output in interpreter.get_output_details()
            }
        finally:
            self._idle.put(interpreter)

    def _open(self) -> Any:  # noqa: ANN401 - LiteRT ships no types
        # Import here, so that reading model cards loads no framework.
        from ai_edge_litert.interpreter import Interpreter  # noqa: PLC0415

        interpreter = Interpreter(model_content=self._content, num_threads=1)
        interpreter.allocate_tensors()
        return interpreter


# Those of this process.
_networks: WeakSet[LiteRtNetwork] = WeakSet()


def close_idle() -> None:
    """Give back the memory of the networks that do not run.

    A worker's own memory fell from 282 to 195 MB; the next photo took 1.87 core seconds instead of
    1.65, both on a busy machine.
    """
    for network in list(_networks):
        idle = network._idle  # noqa: SLF001 - of this module
        with idle.mutex:
            idle.queue = [None] * len(idle.queue)
