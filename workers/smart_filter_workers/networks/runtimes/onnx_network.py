"""ONNX networks: ONNX Runtime with its telemetry off, on the best available device."""

import functools
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import ModuleType
from typing import Any, Final, TypeVar

import numpy as np

from smart_filter_shared.errors import SetupFailed
from smart_filter_shared.extras import install_hint
from smart_filter_workers.networks.runtimes import network_input
from smart_filter_workers.networks.runtimes.network_input import ConfiguredNetwork
from smart_filter_workers.results import Floats
from smart_filter_workers.weights.allowlist import AdmittedFile

Metadata = TypeVar("Metadata")

# Official builds report each load and each session to their vendor unless this variable is 1.
TELEMETRY_SWITCH: Final = "ORT_DISABLE_TELEMETRY"

# Fastest first; providers that this ONNX Runtime lacks are left out.
_CPU_PROVIDER: Final = "CPUExecutionProvider"
PROVIDERS: Final = ("TensorrtExecutionProvider", "CUDAExecutionProvider", _CPU_PROVIDER)
# The device that is no GPU.
CPU: Final = "cpu"
_PICTURE_AXES: Final = 4
_KINDS: Final = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
# The arena grows by what a pass asks for (1), without a limit (0); -1 is a default. By default each
# session has an arena, which doubles: those of a default job kept 270 MB, and this one keeps 90.
_ARENA: Final = {"arena_extend_strategy": 1, "max_mem": 0} | dict.fromkeys(
    ("initial_chunk_size_bytes", "max_dead_bytes_per_chunk"), -1
)
# A ModelProto of version 8 with the operator `Identity` of opset 13 from `x` to `y`, both scalars.
_IDENTITY: Final = (
    b'\x08\x08:6\n\x10\n\x01x\x12\x01y"\x08Identity\x12\x08identity'
    b"Z\x0b\n\x01x\x12\x06\n\x04\x08\x01\x12\x00b\x0b\n\x01y\x12\x06\n\x04\x08\x01\x12\x00B\x04\n\x00\x10\r"
)


def load_library() -> ModuleType:
    """Return the module onnxruntime, imported with its telemetry off.

    No other code imports it: the library reads the variable during import, and its reporter cannot
    be stopped once started.
    Source: Privacy.md of the package onnxruntime 1.31.
    """
    os.environ[TELEMETRY_SWITCH] = "1"
    # Import here, because reading model cards must not load a framework.
    import onnxruntime  # noqa: PLC0415

    module: ModuleType = onnxruntime
    return module


def load_onnx() -> ModuleType:
    """Return the module onnx, which reads and changes files.  Raises SetupFailed without it."""
    try:
        import onnx  # noqa: PLC0415 - the default models need it as little as the reading of cards
    except ImportError as error:
        raise SetupFailed(f"ONNX files are checked by onnx: {install_hint('onnx')}") from error
    module: ModuleType = onnx
    return module


def load_quantization() -> ModuleType:
    """Return the module onnxruntime.quantization, with the telemetry of ONNX Runtime off."""
    load_library()
    import onnxruntime.quantization.qdq_quantizer  # noqa: PLC0415 - as above

    module: ModuleType = onnxruntime.quantization
    return module


def open_small(content: bytes) -> Any:  # noqa: ANN401 - ONNX Runtime ships no types
    """Return a session on one thread of a CPU, which any thread may run.

    Raises the errors of ONNX Runtime, which have no common class.
    """
    return _open_session(content, [_CPU_PROVIDER], keeps_memory=True, threads=1)


def shrink_arena() -> None:
    """Give back the memory that passes have left in the arena; one that runs keeps its part."""
    if _register_arena.cache_info().currsize:
        # Only a pass can do it: one of a network that returns its input.
        session = open_small(_IDENTITY)
        options = load_library().RunOptions()
        options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        session.run(None, {"x": np.zeros((), np.float32)}, options)


@functools.cache
def _register_arena() -> None:
    """Create the arena that the sessions of this process share."""
    library = load_library()
    place = library.OrtMemoryInfo(
        "Cpu", library.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, library.OrtMemType.DEFAULT
    )
    library.create_and_register_allocator(place, library.OrtArenaCfg(_ARENA))


def _open_session(
    content: bytes, devices: Sequence[str], *, keeps_memory: bool, threads: int
) -> Any:  # noqa: ANN401 - ONNX Runtime ships no types
    """Return a session; see OnnxNetwork."""
    library = load_library()
    options = library.SessionOptions()
    # One is the rule, because the worker's own threads already share the cores.
    options.intra_op_num_threads = threads
    # Threads that wait by spinning use up the processor time of a container.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if keeps_memory:
        _register_arena()
        options.add_session_config_entry("session.use_env_allocators", "1")
    # The arena would keep a gigabyte for the largest networks, and save no time.
    options.enable_cpu_mem_arena = keeps_memory
    # Memory patterns for each input size cost up to 30 MB and save no time.
    options.enable_mem_pattern = False
    # Log errors only: at lower levels it warns of every size that a graph declares and a picture
    # does not have.
    options.log_severity_level = 3
    session = library.InferenceSession(content, options, providers=devices)
    if devices == [_CPU_PROVIDER]:
        # It keeps the file to open it again on a CPU when a GPU fails.
        session._model_bytes = None  # noqa: SLF001 - there is no other way
    return session


def open_trained(
    content: bytes, key: str, parse: Callable[[Any], Metadata], *, what: str
) -> tuple[Any, Metadata]:
    """Return a session of a network that was trained here, and what its metadata say.

    content: the file's bytes, whose digest was checked.  key: of the metadata, which are JSON.
    Raises SetupFailed when the network does not load, or has no such metadata.
    """
    try:
        session = open_small(content)
        return session, parse(json.loads(session.get_modelmeta().custom_metadata_map[key]))
    except Exception as error:
        raise SetupFailed(f"this is not {what}: {error}") from error


def providers(available: Iterable[str]) -> list[str]:
    """Return the execution providers to use, fastest first."""
    there = set(available)
    return [name for name in PROVIDERS if name in there]


def has_gpu_provider() -> bool:
    """Return whether ONNX Runtime offers a GPU."""
    return providers(load_library().get_available_providers())[0] != _CPU_PROVIDER


class OnnxNetwork:
    """A network, callable from any thread.

    content: the file's bytes, whose digest was checked.  keeps_memory: whether it keeps the memory
    of one picture for the next, until `shrink_arena`.  threads: for one pass on a CPU.
    Raises SetupFailed when it does not load, or takes anything but one picture.
    """

    def __init__(self, content: bytes, *, keeps_memory: bool = False, threads: int = 1) -> None:
        devices = providers(load_library().get_available_providers())
        try:
            self._session = _open_session(
                content, devices, keeps_memory=keeps_memory, threads=threads
            )
        except Exception as error:
            # ONNX Runtime has an error class for each kind of failure, and no common one.
            raise SetupFailed(f"ONNX Runtime does not load the network: {error}") from error
        inputs = self._session.get_inputs()
        if len(inputs) != 1 or len(inputs[0].shape) != _PICTURE_AXES:
            raise SetupFailed(
                f"the network takes {[input_.shape for input_ in inputs]}, expected one picture:"
                " batch, channels, height and width"
            )
        self._name = inputs[0].name
        if inputs[0].type not in _KINDS:
            raise SetupFailed(f"the network takes {inputs[0].type}, expected {', '.join(_KINDS)}")
        self._kind = _KINDS[inputs[0].type]

    @property
    def device(self) -> str:
        """The device in use: tensorrt, cuda or cpu."""
        first: str = self._session.get_providers()[0]
        return first.removesuffix("ExecutionProvider").lower()

    def __call__(self, picture: Floats) -> Sequence[Floats]:
        """Return all outputs for a picture, (1, …) float32 in the network's layout.

        A network that takes several pictures at once also takes (n, …).
        """
        values = picture.astype(self._kind, copy=False)
        answers = self._session.run(None, {self._name: values})
        return [np.asarray(answer, dtype=np.float32) for answer in answers]


def open_network(content: bytes, file: AdmittedFile) -> ConfiguredNetwork:
    """Open an admitted file.

    content: the file's bytes, whose digest was checked.
    Raises SetupFailed when the file does not load or its handling cannot be read.
    """
    return ConfiguredNetwork(OnnxNetwork(content), network_input.for_file(file))


def check_network(content: bytes) -> None:
    """Refuse a file that is not an ONNX network, or whose weights are in other files.

    Raises SetupFailed.
    """
    onnx = load_onnx()
    try:
        model = onnx.load_model_from_string(content)
    except Exception as error:
        # protobuf's errors are of a private class.
        raise SetupFailed(f"this is not an ONNX network: {error}") from error
    if not model.graph.node:
        raise SetupFailed("this is not an ONNX network: its graph is empty")
    for tensor in _tensors(model, onnx.TensorProto):
        if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
            raise SetupFailed(f"weights {tensor.name!r} are in another file: join them first")


def _tensors(message: Any, tensor: type) -> Iterator[Any]:  # noqa: ANN401 - protobuf has no types
    """Yield every tensor of a network, including those of nested graphs.  tensor: their class."""
    if isinstance(message, tensor):
        yield message
        return
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        for part in [value] if hasattr(value, "ListFields") else value:
            yield from _tensors(part, tensor)
