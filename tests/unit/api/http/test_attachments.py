"""File names of photos and of downloads, however hostile or long they are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smart_filter_api.http.downloads import clean_file_name, content_disposition, name_download


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("a.jpg", "a.jpg"),
        ("Вася, лето 2026.jpg", "Вася, лето 2026.jpg"),
        ("say %22hi%22, again.png", 'say "hi", again.png'),
        ("it's 100%.jpg", "it's 100%.jpg"),
        ("👩‍👩‍👧 day.png", "👩‍👩‍👧 day.png"),
        ("Ku\u0308ste.jpg", "K\u00fcste.jpg"),
        ("../../etc/passwd", "passwd"),
        ("C:\\photos\\me.jpg", "me.jpg"),
        ("a\x00b\r\n\tc\x7f.jpg", "abc.jpg"),
        ("gpj.\u202eexe", "gpj.exe"),
        ("\ud800a.jpg", "a.jpg"),
        ("x" * 300 + ".jpg", "x" * 196 + ".jpg"),
        ("ж" * 300 + ".jpeg", "ж" * 97 + ".jpeg"),
        ("a." + "x" * 300, "a." + "x" * 198),
        ("..", None),
        (" . ", None),
        ("folder/", None),
        ("", None),
        (None, None),
        ("blob", None),
    ],
)
def test_name_of_a_photo_is_kept_without_what_could_harm(
    sent: str | None, kept: str | None
) -> None:
    assert clean_file_name(sent) == kept


@given(st.text())
def test_any_name_becomes_one_that_a_file_system_can_hold(sent: str) -> None:
    name = clean_file_name(sent)

    assert name is None or 0 < len(name.encode()) <= 200
    assert name is None or not {"/", "\\", "\0", "\n"} & set(name)
    assert clean_file_name(name) == name


@given(st.text())
def test_header_of_any_name_is_one_line_of_ascii_within_a_file_systems_limit(name: str) -> None:
    named = name_download(name, fallback="id", suffix="-faces", media_type="image/jpeg")
    header = content_disposition(*named, saves=True, fallback="id")

    assert header.isascii()
    assert header.isprintable()
    assert header.count('"') in {0, 2}


@pytest.mark.parametrize(
    ("name", "saved"),
    [
        ("CON", "_CON.jpg"),
        ("nul.2026.png", "_nul.2026.jpg"),
        ("Lpt1", "_Lpt1.jpg"),
        ("console", "console.jpg"),
    ],
)
def test_name_that_windows_reserves_is_saved_under_another(name: str, saved: str) -> None:
    named = name_download(name, fallback="id", suffix="", media_type="image/jpeg")
    header = content_disposition(*named, saves=True, fallback="id")

    assert header == f'attachment; filename="{saved}"'
