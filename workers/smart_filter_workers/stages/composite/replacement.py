"""Decide whether `background=auto` replaces a photo's background or keeps it.

A new background suits people who are the subject of a photo and whose outline is certain. Where the
people are small, the place is the subject. Where they sit, lie or jump, another place does not
explain how. Where the outline is doubtful, or two networks decide a part in opposite ways, an error
does not show before the people's own background. A blur of it shows errors, too: strict judges
refused 12 of 24.
Things and animals are cut out for those who ask for them.
"""

from typing import Final

from smart_filter_shared.results import LowerEnd, SegmentationFacts
from smart_filter_workers.backgrounds.choice.subject_stats import SubjectStats

# People who cover less than this share of the photo and are lower than this share of its height
# are a part of a place. Chosen on 60 labeled photos (benchmarks/replacement.py).
SUBJECT_SHARE: Final = 0.13
SUBJECT_HEIGHT: Final = 0.7
# Largest spread of an outline (SegmentationFacts). Of training photos with a new background, one
# strict judge refused 1 of 11, 2 of 16 and 5 of 21 up to it, in three sets; up to 0.002, 2 of 14, 5
# of 19 and 9 of 31. Most of these lack a part or show other people, which no spread tells.
MAX_OUTLINE_SPREAD: Final = 0.0015
# Largest contested share (SegmentationFacts): half a bag, an arm before a window, a chair. Of 49
# training photos in three sets whose other limits allow a new background, judges refused 14; of the
# 31 up to this share 5, in each set fewer. Up to 0.002 they are 4 of 27, up to 0.006 7 of 37.
MAX_CONTESTED_SHARE: Final = 0.003


def find_reason_to_keep(segmented: SegmentationFacts, *, photo_height: int) -> str | None:
    """Return why the background of a photo of people is kept; None to replace it.

    photo_height: of the upright photo, in pixels.
    """
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
    spread, contested = segmented.outline_spread or 0, segmented.contested_share or 0
    is_doubtful = spread > MAX_OUTLINE_SPREAD or contested > MAX_CONTESTED_SHARE
    if segmented.needs_review or is_doubtful:
        return (
            "the outline of the people is not certain enough for another background: their own is"
            " kept, with better light"
        )
    return None


def find_reason_in_light(sitters: SubjectStats) -> str | None:
    """Return why a photo in colored light is kept; None where other places share its light."""
    if not sitters.colored_light:
        return None
    return "the light is colored: the photo's own background is kept, with better light"
