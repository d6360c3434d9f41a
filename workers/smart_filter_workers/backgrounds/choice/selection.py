"""Select the background that suits the people in a photo, as a pure function with reasons.

A design's score (`scoring`) combines the mood of the faces, the contrast along the people's
outline, and the harmony of colors. The best design that people stand out from is used. `keywords`
uses the same scores after the keywords.
"""

from collections.abc import Sequence

from smart_filter_shared.presets import PRESETS, Preset
from smart_filter_shared.results import ChosenBackground
from smart_filter_workers.backgrounds.choice import ranking, reasons
from smart_filter_workers.backgrounds.choice.moods import InferredMood
from smart_filter_workers.backgrounds.choice.subject_stats import SubjectStats


def choose_preset(
    feeling: InferredMood, sitters: SubjectStats, *, seed: int, among: Sequence[Preset] = PRESETS
) -> ChosenBackground:
    """Return the preset chosen for a photo of at least one person.

    seed: 0 or more.  among: presets to choose from, at least one.
    """
    ranked = ranking.rank(
        [(preset.name, preset) for preset in among], feeling, sitters, seed=seed, of=among
    )
    best = ranked[0].preset
    reason = f"{feeling.read_from}: {feeling.wish}, so {best.title}"
    return ChosenBackground(
        kind="preset",
        name=best.name,
        keywords=best.tags,
        reason=reason + reasons.describe_match(best, sitters),
        candidates=ranking.to_candidates(ranked),
        light=round(sitters.light, 3),
    )
