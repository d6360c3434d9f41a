"""Which letters a caption can hold, and that accents are drawn."""

import numpy as np
import pytest

from smart_filter_workers.results import Matte8
from smart_filter_workers.stages.composite.filters import lettering


def written(text: str) -> Matte8:
    return lettering.written([text], (80, 300), size=40, line_px=48, thick=0)


@pytest.mark.parametrize(
    ("text", "kept", "missing"),
    [
        ("Hello  you", "Hello you", []),
        ("Žluťoučký kůň, Øre, Łódź, İzmir", "Žluťoučký kůň, Øre, Łódź, İzmir", []),
        ("e\u0301", "é", []),  # composed
        ("Größe – œuvre", "Grösse - oeuvre", []),
        ("¡Feliz!", "Feliz!", []),
        ("a\nb\tc", "a b c", []),
        ("Hi 👩‍👩‍👧!", "Hi !", ["👩", "👧"]),
        ("日本 ok", "ok", ["日", "本"]),
        ("Ω", "", ["Ω"]),
    ],
)
def test_writable_letters_are_kept_and_others_named(
    text: str, kept: str, missing: list[str]
) -> None:
    assert lettering.writable(text) == (kept, missing)


BASES = {"ø": "o", "ő": "o", "đ": "d", "ł": "l", "Å": "A", "Ñ": "N", "ç": "c", "ş": "s", "ą": "a"}


@pytest.mark.parametrize("letter", "éèêëēĕėẽěÅÑẹçşąőøđł")
def test_accent_is_drawn_next_to_its_letter(letter: str) -> None:
    seen, plain = written(letter), written(BASES.get(letter, "e"))

    assert (seen.astype(int) - plain > 128).sum() > 12


@pytest.mark.parametrize("letter", "íïǰ")
def test_accent_takes_the_place_of_the_dot(letter: str) -> None:
    inked = np.asarray((written(letter) > 128).any(axis=1), int)

    # The accent and the stem.
    assert int((np.diff(inked) == 1).sum()) == 2
