"""Decode model cards from the table `models`, where another version may have written them."""

import dataclasses
import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from smart_filter_shared.catalog.model_card import ModelCard, WeightsFile
from smart_filter_shared.catalog.parameters import Parameter, ParameterKind
from smart_filter_shared.pipeline import TaskName


def decode_identity(card: str) -> ModelCard:
    """Return the identity of a stored card, which every version can read."""
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


# Cards are read once a second or more often, and they rarely change.
@lru_cache(maxsize=256)
def decode(card: str) -> ModelCard:
    """Return the card of a stored JSON text.

    Raises KeyError, TypeError or ValueError when this version cannot read it.
    """
    stored = _known_fields(ModelCard, json.loads(card))
    size = stored["input_size"]
    # A card of an older version lacks later fields; these have defaults.
    return ModelCard(
        **{
            **stored,
            "task": TaskName(stored["task"]),
            "weights": tuple(WeightsFile(**file) for file in stored["weights"]),
            "input_size": None if size is None else (size[0], size[1]),
            "devices": tuple(stored["devices"]),
            "requires": tuple(stored.get("requires", ())),
            "ascending": tuple((low, high) for low, high in stored.get("ascending", ())),
            "parameters": tuple(_decode_parameter(one) for one in stored.get("parameters", ())),
        }
    )


def _decode_parameter(stored: Mapping[str, Any]) -> Parameter:
    kind, choices = ParameterKind(stored["kind"]), tuple(stored["choices"])
    return Parameter(**{**_known_fields(Parameter, stored), "kind": kind, "choices": choices})


def _known_fields(kind: type[ModelCard | Parameter], stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that this version has.  Raises ValueError for another non-empty field.

    An empty field of a later version has no effect, so it is ignored.
    """
    names = {one.name for one in dataclasses.fields(kind)}
    unknown = sorted(name for name in stored.keys() - names if stored[name])
    if unknown:
        raise ValueError(f"this version does not know the fields {', '.join(unknown)}")
    return {name: value for name, value in stored.items() if name in names}
