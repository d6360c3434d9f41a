"""The weights that a fine-tuning begins with, and those that it ends with, as files."""

import importlib
from pathlib import Path
from typing import Final

import numpy as np

from smart_filter_shared.errors import SetupFailed
from smart_filter_workers import foreign_file
from smart_filter_workers.networks.detectron2 import checkpoints
from smart_filter_workers.networks.detectron2.building import Built

_BACKBONE: Final = "backbone.bottom_up."
# Its files have their statistics worked into the scales of the normalisation.
_CAFFE2: Final = "Caffe2"


def begin(network: Built, path: Path) -> tuple[str, ...]:
    """Give a network what fits it of a file; return the names of what stays random.

    path: an `.npz` of arrays, or a pickle as the zoo has them, read as arrays and no more.
    What has another shape, such as the head of a network with other classes, stays random.
    Raises SetupFailed when it cannot be read, or lacks a part of the backbone.
    """
    torch = importlib.import_module("torch")
    checkpoint = checkpoints.parsed(foreign_file.content(path), path.name)
    state = network.model.state_dict()
    given = {name: torch.from_numpy(array) for name, array in checkpoint.arrays.items()}
    if checkpoint.by_likeness:
        loading = importlib.import_module("detectron2.checkpoint.c2_model_loading")
        is_caffe2 = checkpoint.author == _CAFFE2
        given = loading.align_and_update_state_dicts(state, given, c2_conversion=is_caffe2)
    fitting = {
        name: value
        for name, value in given.items()
        if name in state and state[name].shape == value.shape
    }
    lacking = tuple(sorted(set(state) - set(fitting)))
    needed = [name for name in lacking if name.startswith(_BACKBONE)]
    if needed and (checkpoint.author != _CAFFE2 or not fitting):
        raise SetupFailed(
            f"{path.name} has nothing that fits {needed[0]} (and {len(needed) - 1} more): it is of"
            " another architecture, set `depth` and `norm` as they are in its own configuration"
        )
    network.model.load_state_dict(fitting, strict=False)
    return lacking


def write(network: Built, path: Path) -> None:
    """Write a network's weights as an `.npz` of arrays, in one step."""
    state = network.model.state_dict()
    arrays = {name: value.detach().cpu().numpy() for name, value in state.items()}
    scratch = path.with_name(f"{path.name}.part")
    with scratch.open("wb") as file:
        np.savez(file, **arrays)
    scratch.replace(path)
