"""The printability of a picture, as the server returns it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from smart_filter_client.fields import Fields, JsonObject

PARTS = ("looks", "sharpness", "exposure", "noise", "head_room", "size")


@dataclass(frozen=True, slots=True)
class Part:
    """The verdict on one aspect: good, fair or poor, and a sentence for people."""

    verdict: str
    text: str


@dataclass(frozen=True, slots=True)
class Printability:
    """How well a picture prints.

    verdict: good, fair or poor, the worst of its parts.  reasons: the texts that are not good, the
    worst first.  parts: the judged ones of PARTS, by name.
    document: the unparsed JSON, with every value.
    """

    verdict: str
    reasons: tuple[str, ...]
    parts: Mapping[str, Part]
    document: JsonObject = field(repr=False, compare=False)


def printability_from(fields: Fields | None) -> Printability | None:
    """Return the printability in a response, or None.  Raises UnexpectedAnswer."""
    if fields is None:
        return None
    judged = {name: fields.object_or_none(name) for name in PARTS}
    return Printability(
        verdict=fields.text("verdict"),
        reasons=fields.texts("reasons"),
        parts={
            name: Part(part.text("verdict"), part.text("text"))
            for name, part in judged.items()
            if part is not None
        },
        document=fields.document,
    )
