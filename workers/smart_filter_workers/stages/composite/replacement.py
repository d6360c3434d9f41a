"""Decide whether `background=auto` replaces a photo's background, blurs it, or keeps it.

A new background suits people who are the subject of a photo and whose outline is certain. Where the
people are small, the place is the subject. Where they sit, lie or jump, another place does not
explain how. Where the outline is doubtful, an error shows least before the people's own background.
Things and animals are cut out for those who ask for them.
"""

from dataclasses import dataclass
from typing import Final

from smart_filter_shared.recipe import BackgroundKind
from smart_filter_shared.results import ChosenBackground, LowerEnd, SegmentationFacts
from smart_filter_workers.backgrounds.choice.subject_stats import SubjectStats

# People who cover less than this share of the photo and are lower than this share of its height
# are a part of a place. Chosen on 60 labeled photos (benchmarks/replacement.py).
SUBJECT_SHARE: Final = 0.13
SUBJECT_HEIGHT: Final = 0.7
# Below this confidence, which is the agreement of the networks, parts of the people are lost, and a
# blur would show it as well as another background.
BLURRED_FROM: Final = 0.6
# People whose outline two networks draw farther apart than this, as a share of the longest side.
# Of 85 training photos whose background was replaced, a strict judge refused 18 of the 45 below it
# and 32 of the 40 above; limits from 0.0028 to 0.0040 part them as well.
MAX_OUTLINE_SPREAD: Final = 1 / 300
# The people stay in focus where they meet the ground, so the blur is a light one.
BLUR_STRENGTH: Final = 0.35


@dataclass(frozen=True, slots=True)
class Replacement:
    """The decision not to replace a background: keep or blur, and why, as a sentence."""

    kind: BackgroundKind
    reason: str

    def to_chosen(self) -> ChosenBackground:
        """Return the decision as the background that is used."""
        blur = BLUR_STRENGTH if self.kind == BackgroundKind.BLUR else 0.0
        return ChosenBackground(self.kind, None, (), self.reason, blur=blur)


def decide_by_light(sitters: SubjectStats) -> Replacement | None:
    """Return how a photo in colored light is kept; None where other places share its light."""
    if not sitters.colored_light:
        return None
    return Replacement(
        BackgroundKind.KEEP,
        "the light is colored: the photo's own background is kept, with better light",
    )


def decide(segmented: SegmentationFacts, *, photo_height: int) -> Replacement | None:
    """Return how the background of a photo of people is kept; None to replace it.

    photo_height: of the upright photo, in pixels.
    """
    reason = _find_reason_to_keep(segmented, photo_height)
    if reason is not None:
        return Replacement(BackgroundKind.KEEP, reason)
    if not segmented.needs_review:
        return None
    return Replacement(
        BackgroundKind.BLUR,
        "the outline of the people is not certain enough for another background: their own is"
        " blurred",
    )


def _find_reason_to_keep(segmented: SegmentationFacts, photo_height: int) -> str | None:
    if segmented.any_subject:
        return (
            "no person was found: the photo is kept, with better light; ask for subject=any to cut"
            " out what stands out"
        )
    tallest = max((person.box[3] for person in segmented.found or ()), default=photo_height)
    if segmented.coverage < SUBJECT_SHARE and tallest < SUBJECT_HEIGHT * photo_height:
        return (
            f"people take {segmented.coverage:.0%} of the photo: the place is kept, with better"
            " light"
        )
    if segmented.lower_end == LowerEnd.OTHER:
        return (
            "the photo hides where the people stand, or they sit, lie or jump: their place is kept,"
            " with better light"
        )
    spread, confidence = segmented.outline_spread, segmented.confidence
    is_unclear = segmented.needs_review and confidence is not None and confidence < BLURRED_FROM
    if is_unclear or (spread is not None and spread > MAX_OUTLINE_SPREAD):
        return (
            "it is unclear where the people end: the photo's own background is kept, with better"
            " light"
        )
    return None
