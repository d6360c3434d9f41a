"""Where a training with torch goes on after a kill: one file, replaced in one step."""

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
    """Write what a training needs to go on, in place of what was there.

    run: what tells this run from every other; state: tensors, numbers and words only.
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
    """Return what a run left there, None when it left nothing.

    Raises SetupFailed when it is another run's, or cannot be read.
    """
    torch = importlib.import_module("torch")
    path = folder / NAME
    if not path.is_file():
        return None
    try:
        # A pickle is a program; this reads one that holds tensors and plain values only.
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        found = state[_RUN]
    except (OSError, RuntimeError, EOFError, KeyError, TypeError, pickle.UnpicklingError) as error:
        why = next(iter(str(error).splitlines()), type(error).__name__)
        raise SetupFailed(f"{path} is no checkpoint ({why}): remove it to begin anew") from error
    if found != run:
        raise SetupFailed(
            f"{path} is of a run with other settings or pictures: go on with those, or remove it"
        )
    return state
