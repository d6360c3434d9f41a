"""Interface of the models of the segmentation stage, and its result."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias, runtime_checkable

from smart_filter_shared.recipe import Edge
from smart_filter_shared.results import LowerEnd
from smart_filter_workers.results import Floats, Matte8, PreparedPhoto, Srgb8

# Sees what stands out, or people: (H, W, 3) uint8 sRGB to (H, W) float32 coverage, 0..1.
Look: TypeAlias = Callable[[Srgb8], Floats]


@dataclass(frozen=True, slots=True)
class Step:
    """An intermediate picture of a model, shown to users.

    picture: (h, w, 3) uint8 sRGB, or (h, w) uint8, of any size.
    """

    title: str
    picture: Srgb8 | Matte8


@dataclass(frozen=True, slots=True)
class People:
    """The people in one picture.

    matte: (h, w) uint8, 0 none to 255 whole, at the size of the proxy.
    persons: a (h, w) uint8 matte of each person, from left to right by the middle of their boxes;
        None when the model does not separate persons.
    possible: a matte of each area that may show a person, which only one network sees; they are
        parts of neither `matte` nor `persons`.
    any_subject: whether the matte shows whatever stands out, not people alone.
    attached: (h, w) uint8, how much of the matte is due to things that people hold or wear; None
        when the model does not look for them.
    steps: intermediate pictures, from a model whose card has `explains`.
    evidence: (h, w) uint8, the highest answer of any network that a pixel shows a person or a thing
        that one holds, bystanders included; None: the matte's.
    lower_end, outline_spread, unclaimed_share, confidence, needs_review: as in
        results.Segmentation.  stronger: the same; set by an ensemble.
    """

    matte: Matte8
    persons: tuple[Matte8, ...] | None
    possible: tuple[Matte8, ...] = ()
    any_subject: bool = False
    attached: Matte8 | None = None
    evidence: Matte8 | None = None
    lower_end: LowerEnd | None = None
    outline_spread: float | None = None
    unclaimed_share: float | None = None
    steps: tuple[Step, ...] = ()
    confidence: float | None = None
    needs_review: bool = False
    stronger: str | None = None


class Segmenter(Protocol):
    """Finds the pixels that show people; safe to call from several threads.

    A model whose card has parameters also takes the keyword `parameters`, with every parameter
    filled in.
    """

    def __call__(self, batch: Sequence[PreparedPhoto], /) -> Sequence[People]:
        """Return the people of each prepared photo, from its proxy and its proposals."""
        ...


@runtime_checkable
class OutlineRefiner(Protocol):
    """A segmenter that can take longer for better outlines; safe to call from several threads."""

    def refine_outlines(
        self, people: People, prepared: PreparedPhoto, edge: Edge, /, salient: Look | None = None
    ) -> People:
        """Return what the segmenter has found in a photo, with outlines as good as an edge asks.

        salient: a further network to ask about them.
        """
        ...
