"""The matte refiner trained for some seconds on drawn people: the loop, and its result."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from smart_filter_tests import drawn_people
from smart_filter_training.models.refiner import batches
from smart_filter_training.models.refiner import train as refiner
from smart_filter_training.models.refiner.batches import Batches, read_examples
from smart_filter_training.models.refiner.network import store_compactly
from smart_filter_training.models.refiner.train import Configuration, Data, Network, StoredNetwork
from smart_filter_training.run_record import RunRecord
from smart_filter_workers.networks.coverage import modnet
from smart_filter_workers.networks.runtimes.network_input import sigmoid
from smart_filter_workers.networks.runtimes.onnx_network import OnnxNetwork

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def small(weights_folder: Path) -> Configuration:
    # OpenMP threads wait by spinning: next to other tests that takes three times as long.
    torch.set_num_threads(1)
    return Configuration(
        iterations=6,
        batch_size=4,
        learning_rate=1e-3,
        smallest_px=64,
        largest_px=96,
        weights=str(weights_folder),
    )


@pytest.fixture(scope="module")
def people(small: Configuration, tmp_path_factory: pytest.TempPathFactory) -> Data:
    return refiner.read_folder(drawn_people.folder(tmp_path_factory.mktemp("drawn"), 12), small)


@pytest.fixture(scope="module")
def trained(
    small: Configuration, people: Data, tmp_path_factory: pytest.TempPathFactory
) -> Network:
    return refiner.train(people, small, RunRecord(tmp_path_factory.mktemp("run"), {}))


def test_network_before_training_is_a_mixture_of_modnet_and_the_matte(
    small: Configuration,
) -> None:
    rng = np.random.default_rng(0)
    picture = rng.uniform(-1, 1, (2, 3, 96, 64)).astype(np.float32)
    known = OnnxNetwork((small.weights_folder / modnet.WEIGHTS.name).read_bytes())

    unsure = np.full((2, 1, 96, 64), 0.5, np.float32)

    logits = refiner.build_network(small)(np.concatenate([picture, unsure], axis=1))

    assert np.abs(sigmoid(logits / 0.8) - known(picture)[0]).max() < 1e-4


def test_training_lowers_the_loss_and_keeps_the_first_layers(
    small: Configuration, people: Data, trained: Network
) -> None:
    before = refiner.build_network(small)
    examples = read_examples(people.checked, small.weights_folder)
    batch = Batches(examples, [1] * len(examples), 8, (96, 96), seed=1).make_batch(0)

    with torch.inference_mode():
        losses = [
            float(refiner.compute_loss(network.module, batch)) for network in (before, trained)
        ]

    assert losses[1] < 0.8 * losses[0]
    changed = [
        (new.requires_grad, bool((new != old).any()))
        for new, old in zip(trained.module.parameters(), before.module.parameters(), strict=True)
    ]
    assert (False, True) not in changed
    assert changed.count((True, True)) > 50


def test_composites_are_more_examples_of_the_same_people(
    small: Configuration, people: Data
) -> None:
    pairs = people.train[:3]

    once, twice = (
        read_examples(pairs, small.weights_folder, composites_share=share) for share in (0, 1)
    )

    assert (len(once), len(twice)) == (3, 6)
    for photo, composite in zip(twice[::2], twice[1::2], strict=True):
        whole, none = photo.sample.target == 255, photo.sample.target == 0
        assert (photo.sample.target == composite.sample.target).all()
        assert (photo.sample.srgb[whole] == composite.sample.srgb[whole]).all()
        assert (photo.sample.srgb[none] != composite.sample.srgb[none]).any(axis=-1).mean() > 0.5


def test_examples_of_a_folder_are_those_of_the_run_that_wrote_it(
    small: Configuration, people: Data, tmp_path: Path
) -> None:
    first, again = (
        read_examples(people.train[:2], small.weights_folder, composites_share=1, folder=tmp_path)
        for _ in range(2)
    )

    assert len(list(tmp_path.iterdir())) == 4
    for example, kept in zip(first, again, strict=True):
        assert (example.sample.srgb == kept.sample.srgb).all()
        assert (example.sample.people == kept.sample.people).all()
        assert (example.sample.target == kept.sample.target).all()


def test_exported_network_is_small_and_takes_batches_of_any_shape(
    trained: Network, people: Data, tmp_path: Path
) -> None:
    exported = refiner.export(trained, people, tmp_path)

    stored = StoredNetwork(exported.file)
    assert exported.file.stat().st_size < 6_000_000
    for count, height, width in ((1, 64, 64), (2, 96, 64), (2, 64, 128)):
        examples = [example.sample for example in people.validation[:count]]
        inputs = np.concatenate(
            [batches.to_inputs([seen.stretch(width=width, height=height)]) for seen in examples]
        )
        difference = np.abs(sigmoid(stored(inputs)) - sigmoid(trained(inputs)))
        assert difference.shape == (count, 1, height, width)
        assert difference.mean() < 0.01


def test_refined_mattes_are_measured_next_to_the_given_ones(trained: Network, people: Data) -> None:
    figures = refiner.compute_figures(trained, people)

    assert set(figures) == {"iou", "iou_people"}
    assert all(0 <= figure.value <= 1 for figure in figures.values())


def test_weights_in_few_bits_are_nearly_the_same(small: Configuration) -> None:
    file = small.weights_folder / modnet.WEIGHTS.name
    model = onnx.load(file)
    picture = np.random.default_rng(0).uniform(-1, 1, (1, 3, 64, 64)).astype(np.float32)

    nodes = [*store_compactly(model.graph), *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)

    content = model.SerializeToString()
    assert len(content) < 0.3 * file.stat().st_size
    (stored,), (known,) = OnnxNetwork(content)(picture), OnnxNetwork(file.read_bytes())(picture)
    assert np.abs(stored - known).mean() < 0.01
