"""Trains the network: stochastic gradient descent along a polynomial, goes on after a kill."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch.nn import functional

from smart_filter_training import torch_checkpoints
from smart_filter_training.annotations.marks import Marked
from smart_filter_training.models.deeplab.batches import NOT_COUNTED, Batches
from smart_filter_training.models.deeplab.configuration import Configuration
from smart_filter_training.models.deeplab.data import Data
from smart_filter_training.models.deeplab.network import DeepLab
from smart_filter_training.record import Record

__all__ = ["Configuration", "Network", "train"]

# How often curves get a point, in iterations.
NOTE_EVERY: Final = 10


@dataclass(frozen=True, slots=True)
class Network:
    """A trained network, in evaluation mode, and how it was trained."""

    module: DeepLab
    configuration: Configuration


def train(data: Data, configuration: Configuration, record: Record) -> Network:
    """Train on a folder's pictures, or go on where a killed run of the same settings was.

    Raises SetupFailed when the checkpoint there is of another run.
    """
    torch.manual_seed(configuration.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cpu":
        record.note(device="cpu: torch sees no GPU, which takes some fifty times as long")
    module = untrained(configuration).to(device)
    optimizer = torch.optim.SGD(
        module.parameters(),
        lr=configuration.learning_rate,
        momentum=configuration.momentum,
        weight_decay=configuration.weight_decay,
    )
    scaler = torch.amp.GradScaler(device, enabled=device == "cuda")
    shown = _shown(data.train)
    batches = Batches(shown, data.labels, configuration)
    steps = configuration.steps(len(shown))
    run = repr((configuration, data.digest))
    state = torch_checkpoints.load(record.checkpoint_folder, run)
    start = 0
    if state is not None:
        start = int(state["done"])
        module.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        scaler.load_state_dict(state["scaler"])
    module.train()
    for number in range(start, steps):
        # What is dropped follows from the seed and the number alone, so that a run that went on
        # ends as one that never stopped.
        torch.manual_seed(configuration.seed * 1_000_003 + number)
        rate = configuration.learning_rate * (1 - number / steps) ** configuration.power
        for group in optimizer.param_groups:
            group["lr"] = rate
        loss = _stepped(module, optimizer, scaler, batches.batch(number), configuration)
        done = number + 1
        if done % NOTE_EVERY == 0 or done == steps:
            record.scalar("train/loss", loss, done)
            record.scalar("train/learning_rate", rate, done)
        if done % configuration.checkpoint_every == 0 or done == steps:
            kept = {
                "done": done,
                "model": module.state_dict(),
                "optimizer": optimizer.state_dict(),
                "scaler": scaler.state_dict(),
            }
            torch_checkpoints.save(record.checkpoint_folder, run, kept)
    return Network(module.eval(), configuration)


def untrained(configuration: Configuration) -> DeepLab:
    """Return the network with random weights."""
    return DeepLab(
        configuration.crop,
        width=configuration.width,
        blocks=configuration.blocks,
        channels=configuration.channels,
    )


def _shown(pictures: Sequence[Marked]) -> tuple[Marked, ...]:
    """Return the pictures with somebody in them: COCO has as many without, which teach little."""
    return tuple(one for one in pictures if any(not mark.is_crowd for mark in one.marks))


def _stepped(
    module: DeepLab,
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    batch: tuple[torch.Tensor, torch.Tensor],
    configuration: Configuration,
) -> float:
    """Learn from one batch; return its loss."""
    device = next(module.parameters()).device
    pictures, classes = (torch.as_tensor(one).to(device) for one in batch)
    is_fast = device.type == "cuda"
    with torch.autocast("cuda", torch.float16) if is_fast else contextlib.nullcontext():
        scores = module(pictures)
    total = functional.cross_entropy(
        scores.float(), classes, ignore_index=NOT_COUNTED, reduction="sum"
    )
    # A batch of nothing but crowds has nothing that counts.
    loss = total / (classes != NOT_COUNTED).sum().clamp(min=1)
    optimizer.zero_grad()
    scaler.scale(loss).backward()
    if configuration.clip > 0:
        scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(module.parameters(), configuration.clip)
    scaler.step(optimizer)
    scaler.update()
    return float(loss.detach())
