"""LiteRT networks, callable from any thread: each thread has an interpreter of its own."""

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from smart_filter_workers.results import Floats

# Of the networks in the package mediapipe. Source: their authors' papers, such as Kartynnik et al.
# 2019, section 3, "in-house dataset".
MEDIAPIPE_DATA_TERMS = (
    "a data set of Google's own, not published; Google releases the weights under Apache-2.0"
)


class LiteRtNetwork:
    """One network with one input, read once and run with one native thread for each caller.

    An interpreter keeps its tensors between calls and must not be shared. Two threads with an
    interpreter each are faster than one interpreter with two threads.
    Raises ValueError when the file is not a LiteRT model.
    """

    def __init__(self, path: Path) -> None:
        self._content = path.read_bytes()
        self._per_thread = threading.local()
        self._interpreter()  # a file that cannot run fails here, not with the first photo

    def __call__(self, picture: Floats) -> Mapping[str, Floats]:
        """Return the network's outputs for a float32 picture, by their names in the file.

        Outputs are float32, of the shapes that the network declares; they are new arrays.
        """
        interpreter = self._interpreter()
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], picture)
        interpreter.invoke()
        return {
            output["name"]: interpreter.get_tensor(output["index"])
            for output in interpreter.get_output_details()
        }

    def _interpreter(self) -> Any:  # noqa: ANN401 - LiteRT ships no types
        if not hasattr(self._per_thread, "interpreter"):
            # Import here, so that reading model cards loads no framework.
            from ai_edge_litert.interpreter import Interpreter  # noqa: PLC0415

            interpreter = Interpreter(model_content=self._content, num_threads=1)
            interpreter.allocate_tensors()
            self._per_thread.interpreter = interpreter
        return self._per_thread.interpreter
