"""Choose a design by keywords, and explain the choice.

The keywords decide. Among designs that match them equally well the photo decides, by the scores of
`auto`. Keywords for a surface may be matched by a second design that the first is printed on: a
rainbow on linen.

A keyword is a tag of a design, a synonym of tags, a mood, a tone such as `pastel`, or a color by
its CSS name or as #rrggbb. If it is none of these, it may be a misspelling of one.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from smart_filter_shared.presets import FRAMED_FAMILY, PRESETS, SURFACE_FAMILIES, Preset, synonyms
from smart_filter_shared.presets.synonyms import TONES, base_name, expand_word, list_tags, words_of
from smart_filter_shared.results import ChosenBackground
from smart_filter_workers.backgrounds import colors
from smart_filter_workers.backgrounds.choice import color_layout, selection
from smart_filter_workers.backgrounds.choice.moods import InferredMood
from smart_filter_workers.backgrounds.choice.subject_stats import SubjectStats

# Penalty of a match by two designs: one design that matches everything is better.
_TWO_DESIGNS_PENALTY: Final = 0.15
# Matches this close to the best are equally good (chosen by looking at the results of 40 requests).
_TIE_MARGIN: Final = 0.12
# A keyword counts as matched from this value on.
_ANSWERED_FROM: Final = 0.4

# Shortest words with one and with two typos allowed: swapped neighbors, or a letter wrong, missing
# or too many, count one each. Shorter words have too many neighbors.
_ONE_TYPO_FROM: Final = 4
_TWO_TYPOS_FROM: Final = 8
# Most words in one name, such as `sky blue` or `fairy lights`.
_MAX_NAME_WORDS: Final = 4
_WORD: Final = re.compile(r"#(?:[0-9a-f]{6}|[0-9a-f]{3})(?![^\W_])|[^\W_]+")
# A tag counts less than a name: among all rainbows, prefer the one with that name.
_TAG_WEIGHT: Final = 0.87
# Colors, tones and moods count less than the motif, so that a dark rainbow is still a rainbow.
_ATTRIBUTE_WEIGHT: Final = 0.6
# Distance in OKLab over which a color stops being similar, and the weight of a difference in chroma
# alone: brick red is called red, too (both chosen by looking).
_SIMILAR_DISTANCE: Final = 0.12
_CHROMA_WEIGHT: Final = 0.7
# Distance over which a color stops matching a color code.
_EXACT_DISTANCE: Final = 0.08
# A color with less than this share of the wanted chroma does not match fully; above _STRONG, chroma
# counts as full.
_STRONG_SHARE: Final = 0.8
_STRONG: Final = 0.12
_GRAY: Final = 0.005
# In OKLab: chroma up to which colors are pastel, and from which they are vivid.
_PASTEL_BELOW: Final = 0.15
_VIVID_FROM: Final = 0.14

# Tags that a surface passes on to the design printed on it; its colors are not passed on.
SURFACE_TAGS: Final = frozenset(
    "texture paper kraft craft fabric cloth linen denim tweed wool burlap canvas plaster "
    "wall".split()
)


@dataclass(frozen=True, slots=True)
class Meaning:
    """The meaning of a keyword.

    word: as it was sent.  read_as: the word it was read as, the same unless misspelled.
    fits: how well a design matches it, 0 to 1.  weight: its weight among other keywords.
    of_surfaces: whether it is about the surface that a picture is printed on.
    """

    word: str
    read_as: str
    fits: Callable[[Preset], float]
    weight: float = 1.0
    of_surfaces: bool = False


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
    meanings, unknown = parse_words(text, among)
    offered = _list_candidates(meanings, among)
    if not meanings:
        chosen = selection.choose_preset(feeling, sitters, seed=seed, among=among)
        reason = f"{_list_unknown(unknown)}, so chosen as for auto: {chosen.reason}"
        return replace(chosen, keywords=(), reason=reason)
    best = {answer.name: answer for answer in _find_best(meanings, offered)}
    ranked = selection.rank(
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
        candidates=selection.to_candidates(ranked),
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


def parse_words(text: str, among: Iterable[Preset] = PRESETS) -> tuple[list[Meaning], list[str]]:
    """Return the meanings of the keywords in a text, and the unknown words.

    text: words separated by commas or blanks. Several words are one keyword if a design or a color
    has that name (`fairy lights`, `sky blue`); stop words such as `at` and `the` are skipped.
    among: designs whose tags and names are known.
    """
    meanings, unknown = [], []
    tags = list_tags(among)
    for part in text.lower().split(","):
        words = _WORD.findall(part)
        while words:
            meaning, read = _parse_first(words, tags)
            if meaning is not None:
                meanings.append(meaning)
            elif words[0] not in synonyms.STOP_WORDS:
                unknown.append(words[0])
            words = words[read:]
    # Keep each keyword once, or a repeated one would outweigh the others.
    return list({meaning.read_as: meaning for meaning in meanings}.values()), list(
        dict.fromkeys(unknown)
    )


def _parse_first(words: list[str], tags: frozenset[str]) -> tuple[Meaning | None, int]:
    """Return the meaning of the longest keyword at the start, and its number of words."""
    for count in range(min(_MAX_NAME_WORDS, len(words)), 1, -1):
        meaning = _parse_word("-".join(words[:count]), tags)
        if meaning is not None:
            return meaning, count
        meaning = _parse_word("".join(words[:count]), tags)
        if meaning is not None:
            name = " ".join(words[:count])
            return replace(meaning, word=name, read_as=name), count
    if words[0] in synonyms.STOP_WORDS:
        return None, 1
    return _parse_word(words[0], tags) or _match_misspelled(words[0], tags), 1


def _parse_word(word: str, tags: frozenset[str]) -> Meaning | None:
    """Return the meaning of a word, also in its singular or plural form."""
    forms = (word, word.removesuffix("s"), word.removesuffix("es"), f"{word}s")
    readings = (_match_exactly(form, word, tags) for form in forms)
    return next((meaning for meaning in readings if meaning is not None), None)


def _match_exactly(form: str, word: str, tags: frozenset[str]) -> Meaning | None:
    form = synonyms.SPELLINGS.get(form, form)
    color = _parse_color(form)
    if color is not None:
        weight = 1.0 if form.startswith("#") else _ATTRIBUTE_WEIGHT
        return Meaning(word, word, lambda preset: _score_color(preset, form, color), weight)
    if form in TONES:
        return Meaning(word, word, lambda preset: _score_tone(preset, form), _ATTRIBUTE_WEIGHT)
    if form in synonyms.MOODS:
        return Meaning(
            word,
            word,
            lambda preset: float(synonyms.MOODS[form] in preset.moods),
            _ATTRIBUTE_WEIGHT,
        )
    wanted = expand_word(form, tags)
    if not wanted:
        return None
    surface = wanted[0] in SURFACE_TAGS
    return Meaning(word, word, lambda preset: _score_tags(preset, wanted), of_surfaces=surface)


def _match_misspelled(word: str, tags: frozenset[str]) -> Meaning | None:
    slips = 2 if len(word) >= _TWO_TYPOS_FROM else int(len(word) >= _ONE_TYPO_FROM)
    near = [
        (distance, candidate[0] != word[0], candidate)
        for candidate in {
            *tags,
            *synonyms.SYNONYMS,
            *synonyms.MOODS,
            *TONES,
            *synonyms.COLOR_WORDS,
        }
        if len(candidate) >= _ONE_TYPO_FROM
        and (distance := _edit_distance(word, candidate, most=slips)) <= slips
    ]
    if not near:
        return None
    _, _, correct = min(near)
    meaning = _parse_word(correct, tags)
    if meaning is None:
        raise ValueError(f"{correct} is in the vocabulary but has no meaning")
    return replace(meaning, word=word, read_as=correct)


def _edit_distance(word: str, other: str, *, most: int) -> int:
    """Return the number of typos between two words; `most` + 1 if there are more.

    Source: the optimal string alignment distance, after Damerau 1964.
    """
    if abs(len(word) - len(other)) > most:
        return most + 1
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, left in enumerate(word):
        above, row = row, [i + 1]
        for j, right in enumerate(other):
            cost = min(above[j] + (left != right), above[j + 1] + 1, row[j] + 1)
            if i and j and left == other[j - 1] and word[i - 1] == right:
                cost = min(cost, before[j - 1] + 1)
            row.append(cost)
        before = above
    return min(row[-1], most + 1)


def _score_tags(preset: Preset, wanted: list[str]) -> float:
    """Return 1 for a design of this name, less for the first tag, and less for further tags."""
    if base_name(preset) == wanted[0] != preset.family:
        return 1.0
    tags = words_of(preset)
    return next((_TAG_WEIGHT - 0.15 * rank for rank, tag in enumerate(wanted) if tag in tags), 0.0)


def _parse_color(word: str) -> colors.Colors | None:
    """Return the color that a word names, (3,) OKLab; None if it names none."""
    code = word.removeprefix("#")
    if word in synonyms.NO_COLORS or not code.isascii() or not (code != word or word.isalpha()):
        return None
    from coloraide import Color  # noqa: PLC0415 - takes 0.1 s and 6 MB, and few jobs need it

    match = Color.match(synonyms.MORE_COLORS.get(word, word), fullmatch=True)
    if match is None:
        return None
    written = match.color.convert("srgb").to_string(hex=True, alpha=False)
    return np.asarray(colors.linear_to_oklab(colors.parse_hex([written]))[0], np.float32)


def _score_color(preset: Preset, word: str, wanted: colors.Colors) -> float:
    """Return how well a palette matches a color, 0..1; a tag says that the color is dominant."""
    if word.startswith("#"):  # a color code means this color all over the picture
        seen = color_layout.for_preset(preset).lab
        return float(np.exp(-((seen - wanted) ** 2).sum(axis=-1) / _EXACT_DISTANCE**2).mean())
    palette = colors.linear_to_oklab(colors.parse_hex(preset.palette))
    own_chroma, chroma = (
        np.hypot(palette[:, 1], palette[:, 2]),
        float(np.hypot(wanted[1], wanted[2])),
    )
    apart = ((palette - wanted) ** 2).sum(axis=-1) - (1 - _CHROMA_WEIGHT**2) * (
        own_chroma - chroma
    ) ** 2
    away = np.sqrt(np.maximum(apart, 0))
    # A gray close to a color is still a gray.
    strong = max(_STRONG_SHARE * min(chroma, _STRONG), _GRAY)
    alike = np.exp(-((away / _SIMILAR_DISTANCE) ** 2)) * np.minimum(
        (own_chroma + _GRAY) / strong, 1
    )
    share = 0.5 * float(alike.max()) + 0.5 * float(alike.mean())
    return 0.45 + 0.55 * share if word in words_of(preset) else 0.9 * share


def _score_tone(preset: Preset, word: str) -> float:
    """Return how dark, light, pastel … a design is, 0..1."""
    lab = colors.linear_to_oklab(colors.parse_hex(preset.palette))
    chroma = np.hypot(lab[:, 1], lab[:, 2])
    mean, most = float(chroma.mean()), float(chroma.max())
    dark = _linear_step(0.5 - preset.brightness)
    light = _linear_step(preset.brightness - 0.6)
    return {
        "dark": dark,
        "light": light,
        "bright": light,
        "pastel": light
        * _linear_step(mean - 0.02, over=0.03)
        * _linear_step(_PASTEL_BELOW - most, over=0.04),
        "vivid": _linear_step(most - _VIVID_FROM, over=0.06),
        "muted": _linear_step(_VIVID_FROM - most, over=0.06),
        "neutral": _linear_step(0.06 - mean, over=0.04),
    }[word]


def _linear_step(value: float, *, over: float = 0.2) -> float:
    """Return 0 up to 0, 1 from `over` on, and the linear value between."""
    return min(max(value / over, 0.0), 1.0)
