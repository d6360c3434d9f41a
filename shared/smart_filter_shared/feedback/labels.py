"""Apply user labels of faces to the stored results of models."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from smart_filter_shared.pipeline import StageName
from smart_filter_shared.rating import LEVEL_WEIGHTS, SmileLevel

Json = Mapping[str, Any]  # what a JSONB column holds

_EYES: Final = ("left_open", "right_open")


def apply_labels(stage: StageName, result: Json | None, corrections: Sequence[Json]) -> Json | None:
    """Return a stage's stored result with user labels applied; only `smile` has labels.

    The score of a labeled smile becomes the weight of its level.
    """
    labels = [one["label"] for one in corrections if one["form"] == "label"]
    if result is None or stage != StageName.SMILE or not labels:
        return result
    facts = dict(result["facts"])
    smiles, eyes = list(facts["smiles"]), list(facts["eyes"])
    for face in (face for label in labels for face in label["faces"]):
        at = face["number"] - 1
        if at >= len(smiles):
            continue
        if face.get("smile") is not None:
            level = SmileLevel(face["smile"])
            smiles[at] = {"level": str(level), "score": LEVEL_WEIGHTS[level]}
        eyes[at] = {**eyes[at], **{eye: face[eye] for eye in _EYES if face.get(eye) is not None}}
    return {**result, "facts": {**facts, "smiles": smiles, "eyes": eyes}}
