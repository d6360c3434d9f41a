"""Export a Keras network to ONNX, and compare the answers of both."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from smart_filter_shared.errors import SetupFailed
from smart_filter_workers.networks.runtimes import onnx_network
from smart_filter_workers.results import Floats

Network = Any  # keras ships no types

# The largest difference between the answers of an exported and a trained network.
PARITY: Final = 1e-3
OPSET: Final = 17


@dataclass(frozen=True, slots=True)
class Exported:
    """An exported file.

    parity: the largest difference of its answers to validation inputs from the framework's.
    """

    file: Path
    parity: float


def to_onnx(
    network: Network, file: Path, *, inputs: Floats, metadata: Mapping[str, str] | None = None
) -> Exported:
    """Write a Keras network of one input as ONNX, for batches of any size; return the file.

    network: float32 layers throughout; its outputs keep their names.  inputs: examples, (N, …)
    float32, on which both are compared.  metadata: stored in the file.
    Raises SetupFailed when the answers differ by more than PARITY.
    """
    import onnx  # noqa: PLC0415 - checks of data need no framework
    import tensorflow as tf  # noqa: PLC0415
    import tf2onnx  # noqa: PLC0415

    names = list(network.output) if isinstance(network.output, dict) else ["answer"]

    def answers(values: Any) -> dict[str, Any]:  # noqa: ANN401 - a tensor of TensorFlow
        answer = network(values, training=False)
        by_name = answer if isinstance(answer, dict) else {names[0]: answer}
        return {name: tf.identity(value, name=name) for name, value in by_name.items()}

    shape = [None, *network.inputs[0].shape[1:]]
    signature = tf.TensorSpec(shape, tf.float32, name=network.inputs[0].name)
    graph, _ = tf2onnx.convert.from_function(
        tf.function(answers, input_signature=[signature]), [signature], opset=OPSET
    )
    for output in graph.graph.output:
        _rename(graph, output.name, output.name.partition(":")[0])
    _rename(graph, graph.graph.input[0].name, graph.graph.input[0].name.partition(":")[0])
    for key, value in (metadata or {}).items():
        graph.metadata_props.add(key=key, value=value)
    onnx.checker.check_model(graph)
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f"{file.name}.partial")
    partial.write_bytes(graph.SerializeToString(deterministic=True))
    partial.replace(file)
    return Exported(file, _compare(file, network, inputs))


def _compare(file: Path, network: Network, inputs: Floats) -> float:
    onnxruntime = onnx_network.load_library()
    session = onnxruntime.InferenceSession(file.read_bytes(), providers=["CPUExecutionProvider"])
    outputs = [output.name for output in session.get_outputs()]
    exported = dict(
        zip(outputs, session.run(outputs, {session.get_inputs()[0].name: inputs}), strict=True)
    )
    predicted = network.predict(inputs, verbose=0)
    trained = predicted if isinstance(predicted, dict) else {"answer": predicted}
    parity = float(
        np.max([np.abs(exported[name] - value).max() for name, value in trained.items()])
    )
    if not parity <= PARITY:  # also refuses NaN
        file.unlink()
        raise SetupFailed(
            f"the exported network's answers differ by {parity:.4f}: report this to the authors"
        )
    return parity


def _rename(model: Any, before: str, after: str) -> None:  # noqa: ANN401 - protobuf has no types
    """Rename a value of a graph, wherever it is produced and used."""
    for node in model.graph.node:
        for names in (node.input, node.output):
            for place, name in enumerate(names):
                if name == before:
                    names[place] = after
    for value in (*model.graph.input, *model.graph.output):
        if value.name == before:
            value.name = after
