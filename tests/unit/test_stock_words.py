"""What a picture is called, by its path or by what somebody tells."""

import pytest

from smart_filter_shared.errors import PictureRefused
from smart_filter_shared.presets import Mood
from smart_filter_workers.stock import words
from smart_filter_workers.stock.providers.base import notes_of
from smart_filter_workers.stock.words import Words


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("beach.jpg", "beach"),
        ("winter/Snow fort.jpg", "winter-snow-fort"),
        ("Café au lait!.PNG", "cafe-au-lait"),
        ("Straße (2).webp", "strasse-2"),
        ("a..b__c.jpg", "a-b-c"),
        ("x" * 200 + ".jpg", "x" * 64),
    ],
)
def test_name_is_made_of_the_path(path: str, name: str) -> None:
    assert words.called(path, Words(title="T")).name == name


def test_tags_are_the_words_of_folders_and_file() -> None:
    assert words.called("winter/alps_2023/IMG_0042 cabin.jpg", Words()).tags == (
        *("winter", "alps"),
        "cabin",
    )


def test_title_is_the_files_name() -> None:
    assert words.called("winter/snow_fort.jpg", Words()).title == "Snow fort"


def test_what_is_told_wins() -> None:
    told = Words(name="fort", title="The fort", tags=("Golden Gate", "sea"), moods=(Mood.CALM,))

    called = words.called("winter/x.jpg", told)

    assert (called.name, called.title) == ("fort", "The fort")
    assert (called.tags, called.moods) == (("golden-gate", "sea"), (Mood.CALM,))


@pytest.mark.parametrize("path", ["日本.jpg", "---.png", "((.webp"])
def test_path_that_makes_no_name_is_refused(path: str) -> None:
    with pytest.raises(PictureRefused, match="give it one"):
        words.called(path, Words(title="T"))


@pytest.mark.parametrize(
    "name", ["", "a/b", "../a", "A", "a b", "-a", "a--b", "a+b", "é", "a" * 65, "a\n"]
)
def test_name_that_would_not_fit_a_recipe_is_refused(name: str) -> None:
    with pytest.raises(PictureRefused, match="cannot be a background's name"):
        words.called("x.jpg", Words(name=name))


@pytest.mark.parametrize("title", ["", "a\0b", "two\nlines", "x" * 101])
def test_title_that_is_no_line_of_text_is_refused(title: str) -> None:
    with pytest.raises(PictureRefused, match="title"):
        words.called("x.jpg", Words(title=title))


@pytest.mark.parametrize("tags", [("x" * 41,), ("!!",), tuple(f"t{one}" for one in range(17))])
def test_tags_that_are_too_many_too_long_or_no_words_are_refused(tags: tuple[str, ...]) -> None:
    with pytest.raises(PictureRefused, match="tags"):
        words.called("x.jpg", Words(tags=tags))


def test_notes_tell_of_pictures_by_their_paths() -> None:
    notes = notes_of('["winter/a.jpg"]\ntitle = "Alps"\ntags = ["snow"]\nmoods = ["calm"]\n')

    assert notes == {"winter/a.jpg": Words(None, "Alps", ("snow",), (Mood.CALM,))}


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("title = 'x'", "title"),
        ("[", "backgrounds.toml"),
        ("['a.jpg']\ncolour = 'red'", "colour"),
        ("['a.jpg']\ntags = 'red'", "list of texts"),
        ("['a.jpg']\ntitle = 3", "is a text"),
        ("['a.jpg']\nmoods = ['hungry']", "joyful"),
    ],
)
def test_notes_that_cannot_be_read_say_what_is_wrong(text: str, what: str) -> None:
    with pytest.raises(PictureRefused, match=what):
        notes_of(text)
