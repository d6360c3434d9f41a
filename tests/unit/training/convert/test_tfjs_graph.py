"""A TensorFlow.js graph becomes an ONNX network with the same answers."""

import base64
from typing import Any

import numpy as np
import pytest

from smart_filter_training.convert import tfjs_graph
from smart_filter_workers.networks.runtimes.onnx_session import OnnxNetwork


def _text(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _graph(operation: str = "Sigmoid") -> tuple[dict[str, Any], bytes]:
    """Return a graph of one convolution of 1 × 1 from three channels to one, and its weights."""
    convolution = {
        "name": "sum",
        "op": "_FusedConv2D",
        "input": ["cast", "kernel", "bias"],
        "attr": {
            "strides": {"list": {"i": ["1", "1", "1", "1"]}},
            "padding": {"s": _text("SAME")},
            "fused_ops": {"list": {"s": [_text("BiasAdd"), _text("Relu6")]}},
        },
    }
    nodes = [
        {"name": "cast", "op": "Cast", "input": ["input"]},
        convolution,
        {"name": "shares", "op": operation, "input": ["sum"]},
    ]
    half = {"quantization": {"dtype": "float16"}, "dtype": "float32"}
    weights = [
        {"name": "kernel", "shape": [1, 1, 3, 1], **half},
        {"name": "bias", "shape": [1], **half},
    ]
    graph = {"modelTopology": {"node": nodes}, "weightsManifest": [{"weights": weights}]}
    return graph, np.array([1, 2, 4, -1], "<f2").tobytes()


def test_a_converted_graph_answers_as_the_original_computes() -> None:
    graph, values = _graph()

    model = tfjs_graph.convert(
        graph, values, source="drawn", picture="cast", outputs={"shares": "share"}
    )

    network = OnnxNetwork(model.SerializeToString())
    picture = np.array([[[0.5, 0.25, 0.125], [9, 9, 9]]], np.float32)
    (share,) = network(picture[np.newaxis])
    expected = 1 / (1 + np.exp(-np.array([0.5, 6])))
    np.testing.assert_allclose(share[0, 0, :, 0], expected, rtol=1e-6)


def test_an_unknown_operation_is_named() -> None:
    graph, values = _graph("TopKV2")

    with pytest.raises(ValueError, match="TopKV2"):
        tfjs_graph.convert(graph, values, source="", picture="cast", outputs={"shares": "share"})


def test_a_weights_file_of_another_length_is_refused() -> None:
    graph, values = _graph()

    with pytest.raises(ValueError, match="the file has 10"):
        tfjs_graph.convert(
            graph, values + b"\0\0", source="", picture="cast", outputs={"shares": "share"}
        )
