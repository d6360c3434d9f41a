"""A trainable model whose network gives every face the same score."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from smart_filter_shared.catalog.model_card import Commercial, ModelCard, WeightsFile
from smart_filter_shared.pipeline import TaskName
from smart_filter_shared.rating import SmileLevel
from smart_filter_shared.results import Smile
from smart_filter_workers.networks.faces.face_mesh import FaceView
from smart_filter_workers.networks.runtimes.onnx_network import OnnxNetwork
from smart_filter_workers.stages.smile.models.base import SmileRater
from smart_filter_workers.weights import trained_weights

FILE = "learned/smile.onnx"
# Metrics with which a candidate may replace the live weights.
BETTER = {
    "candidate": {"macro_f1": [0.7, 0.6, 0.8]},
    "live": {"macro_f1": [0.6, 0.5, 0.7]},
}
CUTS = {0.75: SmileLevel.HUGE, 0.5: SmileLevel.MODERATE, 0.25: SmileLevel.MILD}


def network(score: float) -> bytes:
    """Return weights that rate every smile with `score`, 0..1."""
    parts = [
        numpy_helper.from_array(np.array([score], np.float32), "score"),
        numpy_helper.from_array(np.zeros(1, np.float32), "zero"),
    ]
    nodes = [
        helper.make_node("ReduceMean", ["faces"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
        helper.make_node("Add", ["score", "nothing"], ["smile"]),
    ]
    kind = TensorProto.FLOAT
    faces = helper.make_tensor_value_info("faces", kind, ["N", 1, 48, 48])
    smile = helper.make_tensor_value_info("smile", kind, [1])
    graph = helper.make_graph(nodes, "learned", [faces], [smile], parts)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 10  # readable by every ONNX Runtime that the project allows
    content: bytes = model.SerializeToString()
    return content


def digest_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


OWN = network(0.125)
CARD = ModelCard(
    name="learned",
    version="1",
    task=TaskName.SMILE,
    family="learned",
    title="A model that learns",
    source="the tests",
    license="Apache-2.0",
    data_terms="none",
    commercial=Commercial.YES,
    weights=(WeightsFile(FILE, digest_of(OWN)),),
    learns=FILE,
)


def load(weights: Path) -> SmileRater:
    network = OnnxNetwork((weights / FILE).read_bytes())

    def rate(faces: Sequence[FaceView]) -> list[Smile]:
        if not faces:
            return []
        (smile,) = network(np.zeros((len(faces), 1, 48, 48), np.float32))
        score = float(smile.item())
        level = next((level for cut, level in CUTS.items() if score >= cut), SmileLevel.NONE)
        return [Smile(level, score) for _ in faces]

    return rate


def link_weights(folder: Path, weights: Path) -> None:
    """Make a weights folder with links to another folder's files, and this model's weights."""
    folder.mkdir(parents=True)
    place = Path(FILE).parent
    for entry in weights.iterdir():
        if entry.name not in {trained_weights.FOLDER, place.name}:
            (folder / entry.name).symlink_to(entry)
    (folder / place).mkdir()
    (folder / FILE).write_bytes(OWN)
