"""The description of one background: name, meaning, and how its family draws it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Mood(StrEnum):
    """The mood of the faces in a photo, and of the backgrounds that suit them."""

    JOYFUL = "joyful"
    CALM = "calm"
    TENDER = "tender"
    SURPRISED = "surprised"
    SERIOUS = "serious"
    SAD = "sad"
    TENSE = "tense"


class BackgroundSource(StrEnum):
    """The provider of a background, which its name has before a slash, except a generated one's.

    generated: drawn.  site: a picture of the operator's, for all tenants.  tenant: a tenant's own
    picture, which no other tenant sees.
    """

    GENERATED = "generated"
    SITE = "site"
    TENANT = "tenant"


# The family of backgrounds that are pictures.
PICTURE = "picture"


@dataclass(frozen=True, slots=True)
class Preset:
    """One background by name: `sky`, `site/lobby`, `tenant/beach`.

    family: the design family that draws it, or `picture`.  tags: words for search by keywords.
    moods: the moods that it suits, the best first.
    palette: its colors as #rrggbb; the family gives each position a meaning.
    brightness: mean Rec. 709 luma of the drawing, 0 black to 1 white, within 0.1.
    parameters: other parameters of the family, by name; a missing one has its default.
    impression: the mean colors of a picture by place, as the workers write them; "" for designs.
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
    def source(self) -> BackgroundSource:
        """The provider of the background."""
        before, slash, _ = self.name.partition("/")
        return BackgroundSource(before) if slash else BackgroundSource.GENERATED
