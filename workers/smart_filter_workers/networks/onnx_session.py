"""Somebody else's ONNX network with one picture as its input, on the best device there is."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from smart_filter_shared.errors import SetupFailed
from smart_filter_workers.admitted import Admitted
from smart_filter_workers.networks import handling, onnx_runtime
from smart_filter_workers.networks.handling import Handling

Floats = NDArray[np.float32]

# The fastest first; what an installation of ONNX Runtime lacks is left out.
PROVIDERS: Final = ("TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider")
_PICTURE_AXES: Final = 4
_KINDS: Final = {"tensor(float)": np.float32, "tensor(float16)": np.float16}


def providers(available: Iterable[str]) -> list[str]:
    """Return the execution providers to ask for, the fastest first."""
    there = set(available)
    return [name for name in PROVIDERS if name in there]


class OnnxNetwork:
    """A network that any thread may call.

    content: the file's bytes, whose digest was checked.
    Raises SetupFailed when it does not load, or wants anything but one picture.
    """

    def __init__(self, content: bytes) -> None:
        onnxruntime = onnx_runtime.load()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # a worker's own threads share the cores already
        # What it keeps between photos is a gigabyte for the largest networks, and no faster.
        options.enable_cpu_mem_arena = False
        options.enable_mem_pattern = False
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(
                content, options, providers=providers(onnxruntime.get_available_providers())
            )
        except Exception as error:
            # ONNX Runtime has a class of its own for every way to fail, and no common one.
            raise SetupFailed(f"ONNX Runtime does not load the network: {error}") from error
        inputs = self._session.get_inputs()
        if len(inputs) != 1 or len(inputs[0].shape) != _PICTURE_AXES:
            raise SetupFailed(
                f"the network wants {[one.shape for one in inputs]}, expected one picture:"
                " batch, channels, height and width"
            )
        self._name = inputs[0].name
        if inputs[0].type not in _KINDS:
            raise SetupFailed(f"the network wants {inputs[0].type}, expected {', '.join(_KINDS)}")
        self._kind = _KINDS[inputs[0].type]

    @property
    def device(self) -> str:
        """What runs it: tensorrt, cuda or cpu."""
        first: str = self._session.get_providers()[0]
        return first.removesuffix("ExecutionProvider").lower()

    def __call__(self, picture: Floats) -> Sequence[Floats]:
        """Return every answer for one picture, (1, …) float32 as the network wants it."""
        values = picture.astype(self._kind, copy=False)
        answers = self._session.run(None, {self._name: values})
        return [np.asarray(one, dtype=np.float32) for one in answers]


@dataclass(frozen=True, slots=True)
class HandledNetwork:
    """A network, and how it is used."""

    network: OnnxNetwork
    handling: Handling


def opened(content: bytes, file: Admitted) -> HandledNetwork:
    """Open an admitted file.

    content: the file's bytes, whose digest was checked.
    Raises SetupFailed when it does not load, or how it is used cannot be read.
    """
    return HandledNetwork(OnnxNetwork(content), handling.of(file))


def check(content: bytes) -> None:
    """Refuse a file that is no ONNX network, or that has its weights read from other files.

    Raises SetupFailed.
    """
    import onnx  # noqa: PLC0415 - reading the cards of models loads no framework

    try:
        model = onnx.load_model_from_string(content)
    except Exception as error:
        # protobuf's errors are of a private class.
        raise SetupFailed(f"this is no ONNX network: {error}") from error
    if not model.graph.node:
        raise SetupFailed("this is no ONNX network: it does nothing")
    for tensor in _tensors(model):
        if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
            raise SetupFailed(f"weights {tensor.name!r} lie in another file: join them first")


def _tensors(message: Any) -> Iterator[Any]:  # noqa: ANN401 - protobuf's messages have no types
    """Yield every tensor of a network, of graphs inside its graph too."""
    import onnx  # noqa: PLC0415

    if isinstance(message, onnx.TensorProto):
        yield message
        return
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        for part in [value] if hasattr(value, "ListFields") else value:
            yield from _tensors(part)
