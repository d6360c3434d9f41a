"""Save and load the checkpoint of a training with torch: one file, replaced in one step."""

import importlib
import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from smart_filter_shared.errors import SetupFailed

NAME: Final = "checkpoint.pt"
_RUN: Final = "run"


def save(folder: Path, run: str, state: Mapping[str, object]) -> None:
    """Write the state of a training in place of the previous one.

    run: identifies the run; state: tensors, numbers and texts only.
    """
    torch = importlib.import_module("torch")
    folder.mkdir(parents=True, exist_ok=True)
    scratch = folder / f"{NAME}.part"
    with scratch.open("wb") as file:
        torch.save({**state, _RUN: run}, file)
        file.flush()
        os.fsync(file.fileno())
    scratch.replace(folder / NAME)


def load(folder: Path, run: str) -> dict[str, Any] | None:  # Any: torch's own states
    """Return the saved state of a run, or None.

    Raises SetupFailed when it belongs to another run, or cannot be read.
    """
    torch = importlib.import_module("torch")
    path = folder / NAME
    if not path.is_file():
        return None
    try:
        # A pickle can run code; this reads tensors and plain values only.
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        stored = state[_RUN]
    except (OSError, RuntimeError, EOFError, KeyError, TypeError, pickle.UnpicklingError) as error:
        why = next(iter(str(error).splitlines()), type(error).__name__)
        raise SetupFailed(f"{path} is not a checkpoint ({why}): remove it to start over") from error
    if stored != run:
        raise SetupFailed(
            f"{path} belongs to a run with other settings or pictures: use those, or remove it"
        )
    return state
