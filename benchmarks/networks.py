"""Record the passes of networks, and repeat them without anything around them."""

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from unittest import mock

from smart_filter_workers.networks.detectron2.predictor import Predictor
from smart_filter_workers.networks.runtimes import onnx_network

Call = Callable[[], object]


@contextlib.contextmanager
def record() -> Iterator[list[Call]]:
    """Yield a list that gets each pass of a network, as a call that repeats it on its inputs."""
    from ai_edge_litert.interpreter import Interpreter  # noqa: PLC0415 - loads a framework

    calls: list[Call] = []

    def recorder(method: Callable[..., object]) -> Callable[..., object]:
        def run(*given: Any, **options: Any) -> object:  # noqa: ANN401 - as the method takes it
            calls.append(functools.partial(method, *given, **options))
            return method(*given, **options)

        return run

    with contextlib.ExitStack() as patches:
        for kind, name in (
            (onnx_network.load_library().InferenceSession, "run"),
            (Interpreter, "invoke"),
            (Predictor, "_run_model"),
        ):
            changed = mock.patch.object(kind, name, recorder(getattr(kind, name)))
            patches.enter_context(changed)
        yield calls


def repeat(calls: Sequence[Call]) -> None:
    """Repeat passes in their order."""
    for call in calls:
        call()
