"""Which background goes with the people in a photo: a pure function that says why.

The mood of the faces, how people stand out along their outline, and how their colours agree
with a design's make its score (`scoring`); the best of those that people stand out from is
used. `keywords` asks the same of the photo, after the words.
"""

from collections.abc import Sequence

from smart_filter_shared.presets import PRESETS, Preset
from smart_filter_workers.backgrounds import ranking, reasons
from smart_filter_workers.backgrounds.moods import Feeling
from smart_filter_workers.backgrounds.sitters import Sitters
from smart_filter_workers.results import Chosen


def choose(
    feeling: Feeling, sitters: Sitters, *, seed: int, among: Sequence[Preset] = PRESETS
) -> Chosen:
    """Choose a preset for a photo of at least one person.

    seed: 0 or more.  among: presets to choose from, at least one.
    """
    ranked = ranking.rank(
        [(preset.name, preset) for preset in among], feeling, sitters, seed=seed, of=among
    )
    best = ranked[0].preset
    told = f"{feeling.read_from}: {feeling.wish}, so {best.title}"
    return Chosen(
        kind="preset",
        name=best.name,
        keywords=best.tags,
        reason=told + reasons.beside(best, sitters),
        candidates=ranking.told_of(ranked),
        light=round(sitters.light, 3),
    )
