import pytest

from smart_filter_shared.errors import PictureRefused
from smart_filter_shared.presets import Mood
from smart_filter_shared.stock import descriptions
from smart_filter_shared.stock.descriptions import GivenDescription
from smart_filter_workers.stock.providers import parse_notes


def test_tags_are_the_words_of_the_path_and_the_title_is_the_file_name() -> None:
    called = descriptions.describe("winter/alps_2023/IMG_0042 cabin.jpg", GivenDescription())

    assert called.tags == ("winter", "alps", "cabin")
    assert descriptions.describe("winter/snow_fort.jpg", GivenDescription()).title == "Snow fort"


def test_given_words_take_precedence() -> None:
    given = GivenDescription(
        name="fort", title="The fort", tags=("Golden Gate", "sea"), moods=(Mood.CALM,)
    )

    called = descriptions.describe("winter/x.jpg", given)

    assert (called.name, called.title) == ("fort", "The fort")
    assert (called.tags, called.moods) == (("golden-gate", "sea"), (Mood.CALM,))


NAMES = ["", "a/b", "../a", "A", "a b", "-a", "a--b", "a+b", "é", "a" * 65, "a\n"]
TITLES = ["", "a\0b", "two\nlines", "x" * 101]
TAGS = [("x" * 41,), ("!!",), tuple(f"t{number}" for number in range(17))]


@pytest.mark.parametrize(
    ("path", "given", "why"),
    [
        *(
            (path, GivenDescription(title="T"), "give it one")
            for path in ("日本.jpg", "---.png", "((.webp")
        ),
        *(
            ("x.jpg", GivenDescription(name=name), "cannot be a background's name")
            for name in NAMES
        ),
        *(("x.jpg", GivenDescription(title=title), "title") for title in TITLES),
        *(("x.jpg", GivenDescription(tags=tags), "tags") for tags in TAGS),
    ],
)
def test_words_that_do_not_fit_a_recipe_are_refused(
    path: str, given: GivenDescription, why: str
) -> None:
    with pytest.raises(PictureRefused, match=why):
        descriptions.describe(path, given)


def test_notes_describe_pictures_by_their_paths() -> None:
    notes = parse_notes('["winter/a.jpg"]\ntitle = "Alps"\ntags = ["snow"]\nmoods = ["calm"]\n')

    assert notes == {"winter/a.jpg": GivenDescription(None, "Alps", ("snow",), (Mood.CALM,))}


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("title = 'x'", "title"),
        ("[", "backgrounds.toml"),
        ("['a.jpg']\ncolour = 'red'", "colour"),
        ("['a.jpg']\ntags = 'red'", "list of strings"),
        ("['a.jpg']\ntitle = 3", "must be a string"),
        ("['a.jpg']\nmoods = ['hungry']", "joyful"),
    ],
)
def test_unreadable_notes_are_refused_with_the_reason(text: str, what: str) -> None:
    with pytest.raises(PictureRefused, match=what):
        parse_notes(text)
