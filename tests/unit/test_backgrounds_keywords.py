import pytest

from smart_filter_shared.presets import PRESETS, named, words
from smart_filter_shared.rating import SmileLevel
from smart_filter_tests.sitting import feeling, some_sitters
from smart_filter_workers.backgrounds import keywords, vocabulary
from smart_filter_workers.results import Chosen

SEEDS = range(12)


def chosen(text: str, *, seed: int = 0) -> Chosen:
    return keywords.answer(text, feeling(SmileLevel.HUGE), some_sitters(), seed=seed)


def answers(text: str) -> list[Chosen]:
    return [chosen(text, seed=seed) for seed in SEEDS]


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
        ("rainbow,denim", {"rainbow+denim"}),
        ("a rainbow on the denim", {"rainbow+denim"}),
        ("halloween", {"ember", "after-sunset", "last-light"}),
        ("sunset at the beach", {"sunset-layers"}),
        ("summer", {"sky", "garden", "terracotta-noon"}),
        ("lavender", {"lavender-fields"}),
        ("postcard", {"postcard"}),
        ("pink frame", {"love-letter"}),
        ("#2f4f9a", {"indigo-wall"}),
        ("#d98a60", {"terracotta-wall", "terracotta-noon"}),
        ("#A5E6CB", {"mint", "mint-dots"}),
    ],
)
def test_words_and_codes_of_colours_choose_these_designs(text: str, names: set[str]) -> None:
    assert {choice.name for choice in answers(text)} <= names


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        ("rainbw", "rainbow"),
        ("geomertic", "geometric"),
        ("wtercolor", "watercolour"),
    ],
)
def test_misspelt_word_is_read_and_named(sent: str, meant: str) -> None:
    choice = chosen(sent)

    assert choice.keywords == (meant,)
    assert f'"{sent}" was read as {meant}' in choice.reason


@pytest.mark.parametrize(
    ("text", "same"),
    [
        *((text, "rainbow") for text in ("RAINBOW", " rainbow ", "rainbow,rainbow", "rainbows")),
        ("#A00", "#aa0000"),
    ],
)
def test_case_blanks_plurals_repetition_and_short_codes_do_not_matter(text: str, same: str) -> None:
    assert [choice.name for choice in answers(text)] == [choice.name for choice in answers(same)]


@pytest.mark.parametrize(
    ("text", "framed"),
    [
        *((text, False) for text in ("yellow", "fresh", "holiday", "summer", "seaside", "pink")),
        *((text, True) for text in ("frame", "border", "lemonade", "blue,border")),
    ],
)
def test_frame_is_drawn_only_on_request(text: str, *, framed: bool) -> None:
    families = {named(str(choice.name))[0].family for choice in answers(text)}

    assert families == {"framed"} if framed else "framed" not in families


def test_unknown_words_are_named_and_the_known_ones_decide() -> None:
    choice = chosen("hearts,xyzzy,Ωmega")

    assert (choice.name, choice.keywords) == ("hearts", ("hearts",))
    assert 'unknown: "xyzzy", "ωmega"' in choice.reason


@pytest.mark.parametrize(
    ("tone", "least", "most"), [("dark", 0.0, 0.35), ("light", 0.7, 1), ("pastel", 0.65, 1)]
)
def test_tones_are_judged_by_the_brightness_drawn(tone: str, least: float, most: float) -> None:
    for choice in answers(tone):
        assert least <= named(str(choice.name))[0].brightness <= most


def test_every_listed_word_is_understood_by_its_name() -> None:
    listed = words.known(PRESETS)

    for one in listed:
        (meaning,), unknown = vocabulary.understand(one.word)
        assert (meaning.read_as.replace("-", " "), unknown) == (one.word, []), one
        if one.count is not None:
            answering = sum(meaning.fits(preset) > 0 for preset in PRESETS)
            assert one.count == answering, one
    assert len({one.word for one in listed}) == len(listed) > 400
