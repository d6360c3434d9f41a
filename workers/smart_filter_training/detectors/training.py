"""Trains a detector with detectron2's own trainer, optimizer, schedule and hooks."""

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from smart_filter_shared.errors import SetupFailed
from smart_filter_training import torch_checkpoints
from smart_filter_training.annotations.splits import Splits
from smart_filter_training.detectors import weights
from smart_filter_training.detectors.batches import Batches
from smart_filter_training.detectors.configuration import Configuration, built, solving, text
from smart_filter_training.record import Record
from smart_filter_workers.networks.detectron2.building import Built, Foreign

# How often curves get a point, in iterations.
NOTE_EVERY: Final = 10
# Of the trainer's numbers, those that are times and no results.
_TIMES: Final = ("data_time", "rank_data_time", "time")
# What RetinaNet's losses are divided by, a running mean that its state leaves out.
_MEAN: Final = "loss_normalizer"


@dataclass(frozen=True, slots=True)
class Detector:
    """A trained network.

    text: its configuration as `models admit` takes it; configuration: how it was trained.
    """

    built: Built
    text: str
    configuration: Configuration


def train(
    splits: Splits,
    configuration: Configuration,
    record: Record,
    *,
    architectures: Sequence[str],
    name: str,
) -> Detector:
    """Train a network on pictures, going on where a killed run of the same settings was.

    architectures: which may be asked for, the usual one first; name: what the network calls
    what it finds.
    Raises SetupFailed when no network comes of the configuration or the weights to begin with.
    """
    architecture = configuration.architecture or architectures[0]
    if architecture not in architectures:
        raise SetupFailed(f"architecture is {architecture!r}: set {' or '.join(architectures)}")
    torch = importlib.import_module("torch")
    solver = importlib.import_module("detectron2.solver")
    engine = importlib.import_module("detectron2.engine")
    torch.manual_seed(configuration.seed)
    told = text(configuration, architecture, len(splits.labels))
    network = built(told, (name,))
    _begin(network, configuration, record)
    node = solving(network, configuration)
    model = network.model
    optimizer = solver.build_optimizer(node, model)
    scheduler = solver.build_lr_scheduler(node, optimizer)
    run = repr((told, configuration, splits.digest))
    state = torch_checkpoints.load(record.checkpoint_folder, run)
    start = 0 if state is None else int(state["done"])
    batches = Batches(
        pictures=[one for one in splits.train if any(not mark.is_crowd for mark in one.marks)],
        labels=splits.labels,
        configuration=configuration,
        order=node.INPUT.FORMAT,
        masks=node.MODEL.MASK_ON,
        start=start,
    )
    trainer = _trainer(engine, node, model, batches, optimizer)
    trainer.register_hooks(
        [
            # What the network draws by chance follows from the seed and the iteration alone, so
            # that a run that went on ends as one that never stopped.
            engine.hooks.CallbackHook(before_step=partial(_seed, torch, configuration.seed)),
            engine.hooks.LRScheduler(optimizer, scheduler),
            engine.hooks.CallbackHook(after_step=partial(_note, record, optimizer)),
            engine.hooks.CallbackHook(
                after_step=partial(_keep, record.checkpoint_folder, run, model, configuration)
            ),
        ]
    )
    if state is not None:
        model.load_state_dict(state["model"])
        if state["mean"] is not None:
            setattr(model, _MEAN, state["mean"])
        trainer.load_state_dict(state["trainer"])
    if start < configuration.iterations:
        trainer.train(start, configuration.iterations)
    model.eval().requires_grad_(requires_grad=False)
    return Detector(network, told, configuration)


def _begin(network: Built, configuration: Configuration, record: Record) -> None:
    """Give a network its first weights, and let all of it be trained but what is frozen."""
    if configuration.weights:
        lacking = weights.begin(network, Path(configuration.weights))
        record.note(begins_with=configuration.weights, random=list(lacking))
    else:
        record.note(begins_with="random weights; set `weights` to a file of the zoo to fine-tune")
    if network.device == "cpu":
        record.note(device="cpu: torch sees no GPU, an iteration takes seconds, not tenths of one")
    network.model.requires_grad_(requires_grad=True)
    network.model.backbone.bottom_up.freeze(configuration.frozen_stages)


def _trainer(
    engine: Foreign, node: Foreign, model: Foreign, batches: Batches, optimizer: Foreign
) -> Foreign:
    """Return detectron2's trainer; on a GPU the one that computes in half precision."""
    if not node.SOLVER.AMP.ENABLED:
        return engine.SimpleTrainer(model, batches, optimizer)
    scaler = importlib.import_module("torch").amp.GradScaler("cuda")
    return engine.AMPTrainer(model, batches, optimizer, grad_scaler=scaler)


def _seed(torch: Foreign, seed: int, trainer: Foreign) -> None:
    torch.manual_seed(seed * 1_000_003 + trainer.iter)


def _note(record: Record, optimizer: Foreign, trainer: Foreign) -> None:
    """Put the losses into the curves."""
    done = trainer.iter + 1
    if done % NOTE_EVERY and done != trainer.max_iter:
        return
    for name, (value, _) in trainer.storage.latest().items():
        if name not in _TIMES:
            record.scalar(f"train/{name}", float(value), done)
    record.scalar("train/learning_rate", float(optimizer.param_groups[0]["lr"]), done)


def _keep(
    folder: Path, run: str, model: Foreign, configuration: Configuration, trainer: Foreign
) -> None:
    """Write a checkpoint where one is due."""
    done = trainer.iter + 1
    if done % configuration.checkpoint_every and done != configuration.iterations:
        return
    state: dict[str, object] = {
        "done": done,
        "model": model.state_dict(),
        "trainer": trainer.state_dict(),
        "mean": getattr(model, _MEAN, None),
    }
    torch_checkpoints.save(folder, run, state)
