"""Choose a design by keywords, and explain the choice.

The keywords decide. Among designs that match them equally well the photo decides, by the scores of
`auto`. Keywords for a surface may be matched by a second design that the first is printed on: a
rainbow on linen.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from smart_filter_shared.presets import PRESETS, SURFACE_FAMILIES, Preset
from smart_filter_workers.backgrounds import vocabulary
from smart_filter_workers.backgrounds.choice import exclusions, ranking, selection
from smart_filter_workers.backgrounds.choice.moods import InferredMood
from smart_filter_workers.backgrounds.choice.subject_stats import SubjectStats
from smart_filter_workers.backgrounds.vocabulary import Meaning
from smart_filter_workers.results import ChosenBackground

# Penalty of a match by two designs: one design that matches everything is better.
_TWO_DESIGNS_PENALTY: Final = 0.15
# Matches this close to the best are equally good (chosen by looking at the results of 40 requests).
_TIE_MARGIN: Final = 0.12
# A keyword counts as matched from this value on.
_ANSWERED_FROM: Final = 0.4


@dataclass(frozen=True, slots=True)
class _Match:
    """A design, and the surface it is printed on, if any."""

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
        """Return how well it matches a keyword, 0 to 1."""
        own = meaning.fits(self.preset)
        if self.surface is None or not meaning.of_surfaces:
            return own
        return max(own, meaning.fits(self.surface))


def choose_by_keywords(
    text: str,
    feeling: InferredMood,
    sitters: SubjectStats,
    *,
    seed: int,
    among: Sequence[Preset] = PRESETS,
) -> ChosenBackground:
    """Return a background by comma-separated keywords; by the photo alone if all are unknown.

    Other arguments as for `selection.choose_preset`.
    """
    meanings, unknown = vocabulary.parse_words(text, among)
    offered = _list_candidates(meanings, among)
    if not meanings:
        chosen = selection.choose_preset(feeling, sitters, seed=seed, among=among)
        reason = f"{_list_unknown(unknown)}, so chosen as for auto: {chosen.reason}"
        return replace(chosen, keywords=(), reason=reason)
    best = {one.name: one for one in _find_best(meanings, offered)}
    ranked = ranking.rank(
        [(one.name, one.preset) for one in best.values()], feeling, sitters, seed=seed, of=among
    )
    found = best[ranked[0].candidate.name]
    answered = [one for one in meanings if found.to(one) >= _ANSWERED_FROM]
    return ChosenBackground(
        kind="preset",
        name=found.name,
        keywords=tuple(one.read_as for one in answered),
        reason=_reason(found, meanings, answered, unknown),
        candidates=ranking.to_candidates(ranked),
        light=round(sitters.light, 3),
    )


def _list_candidates(meanings: Sequence[Meaning], among: Sequence[Preset]) -> Sequence[Preset]:
    """Return the candidates: framed designs only if a keyword has no other match."""
    framed = [one for one in among if one.family == exclusions.FRAMED_FAMILY]
    others = [one for one in among if one.family != exclusions.FRAMED_FAMILY]
    asked = any(
        _best_fit(meaning, framed) >= _ANSWERED_FROM > _best_fit(meaning, others)
        for meaning in meanings
    )
    return among if asked or not others else others


def _best_fit(meaning: Meaning, among: Sequence[Preset]) -> float:
    return max(map(meaning.fits, among), default=0.0)


def _find_best(meanings: Sequence[Meaning], among: Sequence[Preset]) -> list[_Match]:
    """Return the matches that are as good as the best, in the library's order."""
    answers = [_Match(preset, None) for preset in among]
    if any(one.of_surfaces for one in meanings) and not all(one.of_surfaces for one in meanings):
        surfaces = _surfaces(meanings, among)
        answers += [
            _Match(preset, surface)
            for preset in among
            if preset.family not in SURFACE_FAMILIES
            for surface in surfaces
        ]
    scores = [
        sum(meaning.weight * one.to(meaning) for meaning in meanings)
        - (_TWO_DESIGNS_PENALTY if one.surface else 0)
        for one in answers
    ]
    # If the best score is poor, the margin shrinks, so that non-matches stay out.
    least = max(scores) - _TIE_MARGIN * min(max(scores), 1)
    best = [one for one, score in zip(answers, scores, strict=True) if score >= least]
    whole = [
        one
        for one in best
        if one.surface is None and all(one.to(meaning) >= _ANSWERED_FROM for meaning in meanings)
    ]
    return whole or best


def _surfaces(meanings: Sequence[Meaning], among: Sequence[Preset]) -> list[Preset]:
    """Return the surfaces that match the surface keywords best, each relief once."""
    reliefs: dict[tuple[float, ...] | str, Preset] = {}
    best = 0.0
    for preset in among:
        if preset.family not in SURFACE_FAMILIES:
            continue
        score = sum(one.fits(preset) for one in meanings if one.of_surfaces)
        if score > best:
            reliefs, best = {}, score
        if score == best:
            # Only the relief is used, so the first design of each kind, the plainest, is enough.
            reliefs.setdefault(f"{preset.family} {sorted(preset.parameters)}", preset)
    return list(reliefs.values())


def _reason(
    chosen: _Match,
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
        also = " as well" if answered else ""
        parts.append(f"no design is {' or '.join(unanswered)}{also}")
    if unknown:
        parts.append(_list_unknown(unknown))
    return "; ".join(parts)


def _list_unknown(words: Sequence[str]) -> str:
    named = ", ".join(f'"{word}"' for word in words)
    return f"unknown: {named}" if words else "no words were given"
