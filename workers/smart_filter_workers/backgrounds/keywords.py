"""Choose a design by keywords, and explain the choice.

The keywords decide. Among designs that match them equally well the photo decides, by the scores of
`auto`. Keywords for a surface may be matched by a second design that the first is printed on: a
rainbow on linen.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from smart_filter_shared.presets import FRAMED_FAMILY, PRESETS, SURFACE_FAMILIES, Preset
from smart_filter_shared.results import ChosenBackground
from smart_filter_workers.backgrounds import vocabulary
from smart_filter_workers.backgrounds.choice import ranking, selection
from smart_filter_workers.backgrounds.choice.moods import InferredMood
from smart_filter_workers.backgrounds.choice.subject_stats import SubjectStats
from smart_filter_workers.backgrounds.vocabulary import Meaning

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
        fit = meaning.fits(self.preset)
        if self.surface is None or not meaning.of_surfaces:
            return fit
        return max(fit, meaning.fits(self.surface))


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
    best = {answer.name: answer for answer in _find_best(meanings, offered)}
    ranked = ranking.rank(
        [(answer.name, answer.preset) for answer in best.values()],
        feeling,
        sitters,
        seed=seed,
        of=among,
    )
    choice = best[ranked[0].candidate.name]
    answered = [meaning for meaning in meanings if choice.to(meaning) >= _ANSWERED_FROM]
    return ChosenBackground(
        kind="preset",
        name=choice.name,
        keywords=tuple(meaning.read_as for meaning in answered),
        reason=_reason(choice, meanings, answered, unknown),
        candidates=ranking.to_candidates(ranked),
        light=round(sitters.light, 3),
    )


def _list_candidates(meanings: Sequence[Meaning], among: Sequence[Preset]) -> Sequence[Preset]:
    """Return the candidates: framed designs only if a keyword has no other match."""
    framed = [preset for preset in among if preset.family == FRAMED_FAMILY]
    others = [preset for preset in among if preset.family != FRAMED_FAMILY]
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
    if any(meaning.of_surfaces for meaning in meanings) and not all(
        meaning.of_surfaces for meaning in meanings
    ):
        surfaces = _surfaces(meanings, among)
        answers += [
            _Match(preset, surface)
            for preset in among
            if preset.family not in SURFACE_FAMILIES
            for surface in surfaces
        ]
    scores = [
        sum(meaning.weight * answer.to(meaning) for meaning in meanings)
        - (_TWO_DESIGNS_PENALTY if answer.surface else 0)
        for answer in answers
    ]
    # If the best score is poor, the margin shrinks, so that non-matches stay out.
    least = max(scores) - _TIE_MARGIN * min(max(scores), 1)
    best = [answer for answer, score in zip(answers, scores, strict=True) if score >= least]
    whole = [
        answer
        for answer in best
        if answer.surface is None
        and all(answer.to(meaning) >= _ANSWERED_FROM for meaning in meanings)
    ]
    return whole or best


def _surfaces(meanings: Sequence[Meaning], among: Sequence[Preset]) -> list[Preset]:
    """Return the surfaces that match the surface keywords best, each relief once."""
    reliefs: dict[tuple[float, ...] | str, Preset] = {}
    best = 0.0
    for preset in among:
        if preset.family not in SURFACE_FAMILIES:
            continue
        score = sum(meaning.fits(preset) for meaning in meanings if meaning.of_surfaces)
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
    words = ", ".join(meaning.read_as for meaning in answered)
    parts = [f"asked for {words}: {chosen.title}" if words else f"the nearest is {chosen.title}"]
    parts += [
        f'"{meaning.word}" was read as {meaning.read_as}'
        for meaning in meanings
        if meaning.word != meaning.read_as
    ]
    unanswered = [meaning.read_as for meaning in meanings if meaning not in answered]
    if unanswered:
        also = " as well" if answered else ""
        parts.append(f"no design is {' or '.join(unanswered)}{also}")
    if unknown:
        parts.append(_list_unknown(unknown))
    return "; ".join(parts)


def _list_unknown(words: Sequence[str]) -> str:
    listed = ", ".join(f'"{word}"' for word in words)
    return f"unknown: {listed}" if words else "no words were given"
