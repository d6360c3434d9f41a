"""Which design answers the words that somebody asked with, and in what words to say so.

The words decide; among designs that answer them equally well the photo does, by the scores
that `auto` has. Words for a surface may be answered by a second design, on which the first
is printed: a rainbow on linen.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from smart_filter_shared.presets import PRESETS, SURFACE_FAMILIES, Preset
from smart_filter_workers.backgrounds import choose, misfits, ranking, vocabulary
from smart_filter_workers.backgrounds.moods import Feeling
from smart_filter_workers.backgrounds.sitters import Sitters
from smart_filter_workers.backgrounds.vocabulary import Meaning
from smart_filter_workers.results import Chosen

# One design that answers everything is better than two that do so together.
_COST_OF_TWO: Final = 0.15
# Answers this close to the best are as good (chosen by looking at what 40 requests got).
_AS_GOOD: Final = 0.12
# From here on a word counts as answered.
_ANSWERED: Final = 0.4


@dataclass(frozen=True, slots=True)
class _Answer:
    """A design, and the one it is printed on, if any."""

    preset: Preset
    surface: Preset | None

    @property
    def name(self) -> str:
        return (
            self.preset.name if self.surface is None else f"{self.preset.name}+{self.surface.name}"
        )

    @property
    def title(self) -> str:
        if self.surface is None:
            return self.preset.title
        return f"{self.preset.title} on {self.surface.title}"

    def to(self, meaning: Meaning) -> float:
        """Return how well it answers a word, 0 to 1."""
        own = meaning.fits(self.preset)
        if self.surface is None or not meaning.of_surfaces:
            return own
        return max(own, meaning.fits(self.surface))


def answer(
    text: str, feeling: Feeling, sitters: Sitters, *, seed: int, among: Sequence[Preset] = PRESETS
) -> Chosen:
    """Choose a background by words parted by commas; by the photo alone when all are unknown.

    The rest as for `choose.choose`.
    """
    meanings, unknown = vocabulary.understand(text, among)
    offered = _offered(meanings, among)
    if not meanings:
        chosen = choose.choose(feeling, sitters, seed=seed, among=among)
        reason = f"{_unknown(unknown)}, so chosen as for auto: {chosen.reason}"
        return replace(chosen, keywords=(), reason=reason)
    best = {one.name: one for one in _best(meanings, offered)}
    ranked = ranking.rank(
        [(one.name, one.preset) for one in best.values()], feeling, sitters, seed=seed, of=among
    )
    found = best[ranked[0].candidate.name]
    answered = [one for one in meanings if found.to(one) >= _ANSWERED]
    return Chosen(
        kind="preset",
        name=found.name,
        keywords=tuple(one.read_as for one in answered),
        reason=_reason(found, meanings, answered, unknown),
        candidates=ranking.told_of(ranked),
        light=round(sitters.light, 3),
    )


def _offered(meanings: Sequence[Meaning], among: Sequence[Preset]) -> Sequence[Preset]:
    """Return what may be chosen: with a frame only when a word can be had in no other way."""
    framed = [one for one in among if one.family == misfits.FRAMED]
    others = [one for one in among if one.family != misfits.FRAMED]
    asked = any(
        _most(meaning, framed) >= _ANSWERED > _most(meaning, others) for meaning in meanings
    )
    return among if asked or not others else others


def _most(meaning: Meaning, among: Sequence[Preset]) -> float:
    return max(map(meaning.fits, among), default=0.0)


def _best(meanings: Sequence[Meaning], among: Sequence[Preset]) -> list[_Answer]:
    """Return the answers that are as good as the best, in the library's order."""
    answers = [_Answer(preset, None) for preset in among]
    if any(one.of_surfaces for one in meanings) and not all(one.of_surfaces for one in meanings):
        surfaces = _surfaces(meanings, among)
        answers += [
            _Answer(preset, surface)
            for preset in among
            if preset.family not in SURFACE_FAMILIES
            for surface in surfaces
        ]
    scores = [
        sum(meaning.weight * one.to(meaning) for meaning in meanings)
        - (_COST_OF_TWO if one.surface else 0)
        for one in answers
    ]
    # Where the best is poor, little separates it from what is no answer at all.
    least = max(scores) - _AS_GOOD * min(max(scores), 1)
    best = [one for one, score in zip(answers, scores, strict=True) if score >= least]
    whole = [
        one
        for one in best
        if one.surface is None and all(one.to(meaning) >= _ANSWERED for meaning in meanings)
    ]
    return whole or best


def _surfaces(meanings: Sequence[Meaning], among: Sequence[Preset]) -> list[Preset]:
    """Return the surfaces that answer the words for surfaces best, each relief once."""
    reliefs: dict[tuple[float, ...] | str, Preset] = {}
    best = 0.0
    for preset in among:
        if preset.family not in SURFACE_FAMILIES:
            continue
        score = sum(one.fits(preset) for one in meanings if one.of_surfaces)
        if score > best:
            reliefs, best = {}, score
        if score == best:
            # Only the relief is lent, so that of one kind the first, the plainest, will do.
            reliefs.setdefault(f"{preset.family} {sorted(preset.parameters)}", preset)
    return list(reliefs.values())


def _reason(
    chosen: _Answer,
    meanings: Sequence[Meaning],
    answered: Sequence[Meaning],
    unknown: Sequence[str],
) -> str:
    words = ", ".join(one.read_as for one in answered)
    parts = [f"asked for {words}: {chosen.title}" if words else f"the nearest is {chosen.title}"]
    parts += [
        f'"{one.word}" was read as {one.read_as}' for one in meanings if one.word != one.read_as
    ]
    unanswered = [one.read_as for one in meanings if one not in answered]
    if unanswered:
        beside = " as well" if answered else ""
        parts.append(f"no design is {' or '.join(unanswered)}{beside}")
    if unknown:
        parts.append(_unknown(unknown))
    return "; ".join(parts)


def _unknown(words: Sequence[str]) -> str:
    named = ", ".join(f'"{word}"' for word in words)
    return f"unknown: {named}" if words else "no words were given"
