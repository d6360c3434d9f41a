"""What is known of one background: its name, what it means and how its family draws it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Mood(StrEnum):
    """What the faces in a photo say, and what a background goes with."""

    JOYFUL = "joyful"
    CALM = "calm"
    TENDER = "tender"
    SURPRISED = "surprised"
    SERIOUS = "serious"
    SAD = "sad"
    TENSE = "tense"


class Source(StrEnum):
    """Who provides a background; a name says so before its slash, of a generated one it has none.

    generated: drawn.  site: a picture of the operator's, for everybody.  tenant: a picture of
    a tenant's own, which nobody else sees.
    """

    GENERATED = "generated"
    SITE = "site"
    TENANT = "tenant"


# The family of whatever is a picture and not drawn.
PICTURE = "picture"


@dataclass(frozen=True, slots=True)
class Preset:
    """One background by name: `sky`, `site/lobby`, `tenant/beach`.

    family: the drawing that makes it, or `picture`.  tags: what it shows, for search by keywords.
    moods: what it goes with, the best first.
    palette: its colours as #rrggbb, in the order that the family gives a meaning to.
    brightness: mean Rec. 709 luma of what is drawn, 0 black to 1 white, within 0.1.
    parameters: what else the family's file knows, by name; what is missing has its default.
    impression: of a picture, its mean colours by place, as the workers write them; "" of designs.
    """

    name: str
    title: str
    family: str
    tags: tuple[str, ...]
    moods: tuple[Mood, ...]
    palette: tuple[str, ...]
    brightness: float
    parameters: Mapping[str, float] = field(default_factory=dict, hash=False)
    impression: str = field(default="", repr=False)

    @property
    def source(self) -> Source:
        """Who provides it."""
        before, slash, _ = self.name.partition("/")
        return Source(before) if slash else Source.GENERATED
