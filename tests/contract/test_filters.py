"""Rules for every filter."""

import hashlib
import re
from importlib import resources

import numpy as np
import pytest
from PIL import Image

from smart_filter_shared.catalog.filters import FILTERS, FilterCard, FilterNeed
from smart_filter_shared.catalog.scalars import Scalar
from smart_filter_tests.filter_scenes import a_face, a_picture, a_scene, changed_pixels, draw
from smart_filter_workers.stages.composite.filters import drawing, drawings
from smart_filter_workers.stages.composite.filters.plugins import glasses, hat, sticker

EVERY_CHOICE = [
    (card.name, {parameter.name: choice})
    for card in FILTERS
    for parameter in card.parameters
    for choice in parameter.choices
]
ONE_FACE = (a_face(120, 90, 24),)

REACHES = {
    **{f"glasses-{kind}": glasses.REACH for kind in ("round", "cat-eye", "shades")},
    **{f"hat-{kind}": hat.REACH for kind in ("party", "santa", "crown", "beanie")},
    **{f"sticker-{name}": kind.reach for name, kind in sticker.KINDS.items()},
}

each_filter = pytest.mark.parametrize("card", FILTERS, ids=lambda card: card.name)


def test_cards_and_files_of_filters_match() -> None:
    assert {card.name for card in FILTERS} == drawing.list_names()
    with pytest.raises(KeyError):
        drawing.load_plugin("no such filter")


@pytest.mark.parametrize(("name", "params"), EVERY_CHOICE, ids=str)
@pytest.mark.parametrize("channels", [3, 4])
def test_every_choice_is_drawn_and_listed(
    name: str, params: dict[str, Scalar], channels: int
) -> None:
    before = a_picture(channels=channels)
    after = before.copy()

    verdict = draw(after, a_scene(ONE_FACE), name, **params)

    assert verdict.applied
    assert verdict.reason
    assert changed_pixels(before, after).any()


@each_filter
@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("size", [(1, 1), (2, 90), (90, 2), (33, 57), (400, 31)])
def test_any_size_is_accepted(card: FilterCard, size: tuple[int, int], channels: int) -> None:
    width, height = size
    picture = a_picture(width, height, channels=channels)

    draw(
        picture, a_scene((a_face(width / 2, height / 2, 9),), width=width, height=height), card.name
    )

    assert picture.shape == (height, width, channels)


@each_filter
@pytest.mark.parametrize("channels", [3, 4])
def test_many_faces_outside_and_malformed_ones_are_accepted(
    card: FilterCard, channels: int
) -> None:
    crowd = [a_face(8 * index, 40 + 3 * index, 6, roll=0.2 * index) for index in range(36)]
    outside = [a_face(-15, -15, 20), a_face(245, 178, 30), a_face(9000, 60, 12)]
    point = a_face(50, 50, 0)
    picture = a_picture(channels=channels)

    verdict = draw(picture, a_scene([*crowd, *outside, point]), card.name)

    assert verdict.applied


@each_filter
def test_filter_that_needs_a_face_leaves_a_picture_without_one_unchanged(card: FilterCard) -> None:
    before = a_picture()
    after = before.copy()

    verdict = draw(after, a_scene((), mood=None), card.name)

    assert verdict.applied is (card.needs is None)
    assert changed_pixels(before, after).any() == verdict.applied
    assert verdict.reason


@each_filter
def test_same_seed_draws_the_same_pixels(card: FilterCard) -> None:
    first, other = a_picture(), a_picture()

    draw(first, a_scene(ONE_FACE, seed=7), card.name)
    draw(other, a_scene(ONE_FACE, seed=7), card.name)

    assert np.array_equal(first, other)


@each_filter
def test_undrawn_transparent_pixels_stay_transparent(card: FilterCard) -> None:
    picture = a_picture(channels=4)

    draw(picture, a_scene((a_face(200, 120, 12),)), card.name)

    assert not picture[picture[..., 3] == 0].any()


@pytest.mark.parametrize(
    "card",
    [filter_ for filter_ in FILTERS if filter_.needs == FilterNeed.FACES],
    ids=lambda card: card.name,
)
def test_worn_filter_follows_the_heads_rotation(card: FilterCard) -> None:
    flat = np.full_like(a_picture(201, 201), 128)
    upright, lying = flat.copy(), flat.copy()

    draw(upright, a_scene((a_face(100.5, 100.5, 16),), width=201, height=201), card.name)
    turned = a_face(100.5, 100.5, 16, roll=np.pi / 2)
    draw(lying, a_scene((turned,), width=201, height=201), card.name)

    # Clockwise by a quarter; the shading of a thing turns with it.
    expected = np.rot90(changed_pixels(flat, upright), -1)
    missed = expected != changed_pixels(flat, lying)
    assert missed.sum() < 0.06 * expected.sum()


@pytest.mark.parametrize("name", REACHES)
def test_picture_of_a_worn_thing_is_drawn_from_its_svg(name: str) -> None:
    folder = resources.files(drawings)
    svg = (folder / f"{name}.svg").read_bytes()
    box = re.search(rb'viewBox="([-0-9. ]+)"', svg)
    assert box is not None
    layers = [f"{name}.webp"] + [f"{name}.tint.webp"] * (b'class="tint"' in svg)

    reach = REACHES[name]
    assert [float(side) for side in box[1].split()] == [-reach, -reach, 2 * reach, 2 * reach]
    for layer in layers:
        with (folder / layer).open("rb") as file, Image.open(file) as picture:
            digest = hashlib.sha256(svg).hexdigest().encode()
            assert picture.info["xmp"] == digest, "run `make wearables`, and look at the pictures"
