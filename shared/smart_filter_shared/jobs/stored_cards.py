"""Cards as the table of models holds them, perhaps written by another version of this code."""

import dataclasses
import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from smart_filter_shared.cards import ModelCard, TaskName, WeightsFile
from smart_filter_shared.parameters import Kind, Parameter


def outline(card: str) -> ModelCard:
    """Return what of a card any version can read: which model it is."""
    stored = json.loads(card)
    return ModelCard(
        name=stored["name"],
        version=str(stored.get("version", "")),
        task=TaskName(stored["task"]),
        family=str(stored.get("family", "")),
        title=str(stored.get("title", "")),
        source=str(stored.get("source", "")),
        licence=str(stored.get("licence", "")),
        data_terms=str(stored.get("data_terms", "")),
        default=bool(stored.get("default")),
    )


# They are read once a second and more, and nearly always as before.
@lru_cache(maxsize=256)
def read(told: str) -> ModelCard:
    """Return a card.  Raises KeyError, TypeError or ValueError when it is beyond this version."""
    stored = _known(ModelCard, json.loads(told))
    size = stored["input_size"]
    # What an older version published lacks later fields; those have defaults.
    return ModelCard(
        **{
            **stored,
            "task": TaskName(stored["task"]),
            "weights": tuple(WeightsFile(**file) for file in stored["weights"]),
            "input_size": None if size is None else (size[0], size[1]),
            "devices": tuple(stored["devices"]),
            "requires": tuple(stored.get("requires", ())),
            "ascending": tuple((low, high) for low, high in stored.get("ascending", ())),
            "parameters": tuple(_parameter(one) for one in stored.get("parameters", ())),
        }
    )


def _parameter(stored: Mapping[str, Any]) -> Parameter:
    kind, choices = Kind(stored["kind"]), tuple(stored["choices"])
    return Parameter(**{**_known(Parameter, stored), "kind": kind, "choices": choices})


def _known(kind: type[ModelCard | Parameter], stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that this version has.  Raises ValueError when another one says anything.

    What a later version added and left empty asks nothing of this one.
    """
    names = {one.name for one in dataclasses.fields(kind)}
    unknown = sorted(name for name in stored.keys() - names if stored[name])
    if unknown:
        raise ValueError(f"this version knows no {', '.join(unknown)}")
    return {name: value for name, value in stored.items() if name in names}
