"""How words choose a background, and how the choice is explained."""

import pytest

from smart_filter_shared.presets import PRESETS, SURFACE_FAMILIES, named, synonyms, words
from smart_filter_shared.rating import SmileLevel
from smart_filter_tests.sitting import feeling, some_sitters
from smart_filter_workers.backgrounds import keywords, vocabulary
from smart_filter_workers.results import Chosen

SEEDS = range(12)


def chosen(text: str, *, seed: int = 0, smile: SmileLevel = SmileLevel.HUGE) -> Chosen:
    return keywords.answer(text, feeling(smile), some_sitters(), seed=seed)


def answers(text: str) -> list[Chosen]:
    return [chosen(text, seed=seed) for seed in SEEDS]


@pytest.mark.parametrize("word", sorted(words.known_tags()))
def test_every_tag_finds_a_design_that_answers_to_it(word: str) -> None:
    choice = chosen(word)

    assert choice.keywords == (word,)
    preset, surface = named(str(choice.name))
    assert surface is None
    meanings, _ = vocabulary.understand(word)
    assert meanings[0].fits(preset) >= 0.4


@pytest.mark.parametrize("word", sorted({*synonyms.SYNONYMS, *synonyms.MOODS}))
def test_every_synonym_leads_to_designs(word: str) -> None:
    meanings, unknown = vocabulary.understand(word)

    assert not unknown
    assert max(meanings[0].fits(preset) for preset in PRESETS) >= 0.8


@pytest.mark.parametrize("word", sorted(synonyms.COLOUR_WORDS))
def test_every_colour_is_known_and_some_design_is_near_it(word: str) -> None:
    assert chosen(word).keywords in {(word,), ()}
    assert f'"{word}"' not in chosen(word).reason


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("hearts", {"hearts"}),
        ("terrazzo,pink", {"blush-terrazzo"}),
        ("pink marble", {"rose-marble"}),
        ("fairy lights", {"fairy-lights"}),
        ("denim", {"denim"}),
        ("aurora", {"aurora"}),
        ("blue,paper", {"indigo-wash"}),
        ("sky blue paper", {"indigo-wash"}),
        ("rainbow", {"rainbow"}),
        ("halloween", {"ember", "after-sunset", "last-light"}),
        ("sunset at the beach", {"sunset-layers"}),
        ("summer", {"sky", "garden", "terracotta-noon"}),
        ("lavender", {"lavender-fields"}),
        ("postcard", {"postcard"}),
        ("pink frame", {"love-letter"}),
    ],
)
def test_words_that_one_design_answers_alone_choose_it(text: str, names: set[str]) -> None:
    assert {choice.name for choice in answers(text)} <= names


def test_a_rainbow_and_a_texture_are_printed_one_on_the_other() -> None:
    choices = answers("rainbow,texture")

    for choice in choices:
        preset, surface = named(str(choice.name))
        assert preset.name == "rainbow"
        assert surface is not None
        assert surface.family in SURFACE_FAMILIES
        assert choice.keywords == ("rainbow", "texture")
        assert f"rainbow, texture: {preset.title} on {surface.title}" in choice.reason
    assert len({choice.name for choice in choices}) > 2


def test_the_surface_is_the_one_that_was_asked_for() -> None:
    assert {choice.name for choice in answers("rainbow,denim")} == {"rainbow+denim"}


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        ("rainbw", "rainbow"),
        ("confeti", "confetti"),
        ("geomertic", "geometric"),
        ("turqoise", "turquoise"),
        ("purpel", "purple"),
        ("wtercolor", "watercolour"),
    ],
)
def test_a_misspelt_word_is_read_and_told(sent: str, meant: str) -> None:
    choice = chosen(sent)

    assert choice.keywords == (meant,)
    assert f'"{sent}" was read as {meant}' in choice.reason


@pytest.mark.parametrize("text", ["RAINBOW", " rainbow ", "rainbow,rainbow", "rainbows"])
def test_case_blanks_plurals_and_repetition_do_not_matter(text: str) -> None:
    assert [choice.name for choice in answers(text)] == [
        choice.name for choice in answers("rainbow")
    ]


@pytest.mark.parametrize("text", ["yellow", "fresh", "holiday", "summer", "seaside", "pink"])
def test_a_frame_is_drawn_for_whoever_asks_for_one_alone(text: str) -> None:
    families = {named(str(choice.name))[0].family for choice in answers(text)}

    assert "framed" not in families


@pytest.mark.parametrize("text", ["frame", "border", "lemonade", "blue,border"])
def test_a_frame_that_is_asked_for_is_drawn(text: str) -> None:
    assert {named(str(choice.name))[0].family for choice in answers(text)} == {"framed"}


def test_words_between_words_are_no_words() -> None:
    choice = chosen("a rainbow on the denim")

    assert choice.name == "rainbow+denim"
    assert "unknown" not in choice.reason


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("#2f4f9a", {"indigo-wall"}),
        ("#d98a60", {"terracotta-wall", "terracotta-noon"}),
        ("#A5E6CB", {"mint", "mint-dots"}),
    ],
)
def test_a_colours_code_is_a_word(code: str, names: set[str]) -> None:
    assert {choice.name for choice in answers(code)} <= names


def test_short_codes_of_colours_are_long_ones() -> None:
    assert [one.name for one in answers("#A00")] == [one.name for one in answers("#aa0000")]


def test_unknown_words_are_named_and_the_known_ones_decide() -> None:
    choice = chosen("hearts,xyzzy,Ωmega")

    assert choice.name == "hearts"
    assert choice.keywords == ("hearts",)
    assert 'unknown: "xyzzy", "ωmega"' in choice.reason


def test_when_all_words_are_unknown_the_photo_decides() -> None:
    choice = chosen("xyzzy")

    assert choice.kind == "preset"
    assert choice.keywords == ()
    assert choice.reason.startswith(
        'unknown: "xyzzy", so chosen as for auto: 1 person, smiling broadly'
    )


def test_a_word_that_cannot_be_had_with_the_others_is_named() -> None:
    choice = chosen("dark,rainbow")

    assert choice.keywords == ("rainbow",)
    assert "no design is dark as well" in choice.reason


@pytest.mark.parametrize(
    ("tone", "least", "most"), [("dark", 0.0, 0.35), ("light", 0.7, 1), ("pastel", 0.65, 1)]
)
def test_tones_are_judged_by_what_is_drawn(tone: str, least: float, most: float) -> None:
    for choice in answers(tone):
        assert least <= named(str(choice.name))[0].brightness <= most


@pytest.mark.parametrize(("word", "channel"), [("crimson", 0), ("green", 1), ("navy", 2)])
def test_colours_are_looked_for_in_the_palettes(word: str, channel: int) -> None:
    for choice in answers(word):
        preset, _ = named(str(choice.name))
        levels = [[int(text[at : at + 2], 16) for at in (1, 3, 5)] for text in preset.palette]
        assert any(one[channel] == max(one) for one in levels), choice.name


def test_among_equal_answers_the_mood_decides() -> None:
    calm = [chosen("gradient", seed=seed, smile=SmileLevel.NONE) for seed in SEEDS]
    joyful = [chosen("gradient", seed=seed, smile=SmileLevel.HUGE) for seed in SEEDS]

    assert {choice.name for choice in calm} != {choice.name for choice in joyful}


def test_the_same_seed_chooses_the_same() -> None:
    assert chosen("blue,paper", seed=2**53 - 1) == chosen("blue,paper", seed=2**53 - 1)


def test_every_word_that_is_listed_is_understood_as_what_it_is_called() -> None:
    listed = words.known(PRESETS)

    for one in listed:
        (meaning,), unknown = vocabulary.understand(one.word)
        assert (meaning.read_as.replace("-", " "), unknown) == (one.word, []), one
        if one.count is not None:
            answering = sum(meaning.fits(preset) > 0 for preset in PRESETS)
            assert one.count == answering, one
    assert len({one.word for one in listed}) == len(listed) > 400
