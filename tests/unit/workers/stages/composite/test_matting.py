from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from smart_filter_shared.recipe import Edge
from smart_filter_shared.results import Face
from smart_filter_tests.pictures import noise
from smart_filter_workers.results import Bools, Matte8, Srgb8
from smart_filter_workers.stages.composite import cleanup
from smart_filter_workers.stages.composite.edges import (
    closed_form,
    color_lines,
    edge_learning,
    edge_pixels,
    heads,
)
from smart_filter_workers.stages.composite.edges.color_lines import ColorLines
from smart_filter_workers.stages.composite.edges.edge_learning import EdgeCache
from smart_filter_workers.stages.composite.models import layers
from smart_filter_workers.stages.composite.models.base import CutOut
from smart_filter_workers.stages.composite.models.layers import PeopleBox

FAST = edge_learning.EFFORTS[Edge.FAST]


def a_face(x: float, y: float, side: float) -> Face:
    point = (x + side / 2, y + side / 2)
    return Face(box=(x, y, side, side), score=0.9, landmarks=(point, point, point, point, point))


def test_edge_solved_without_a_closer_round_has_the_size_of_the_solution() -> None:
    effort = replace(FAST, solved_size=160_000)
    matte = np.zeros((400, 400), np.uint8)
    matte[:, 200:] = 255
    inputs = edge_learning.shrink_inputs(matte, noise(400, 400), effort=effort)

    learned = edge_learning.learn_edge(inputs, effort=effort)

    assert learned.lines is not None
    assert learned.lines.shape[:2] == learned.coverage.shape == learned.srgb.shape[:2]
    assert learned.coverage.size > inputs.matte.size


def a_crowd() -> Matte8:
    """Make one large person and two small patches, on a matte of 100 × 200."""
    matte = np.zeros((100, 200), np.uint8)
    matte[10:100, 20:90] = 255
    matte[10:15, 120:125] = 200
    matte[50:56, 160:166] = 255
    return matte


def test_small_part_stays_only_with_a_face_or_enough_area() -> None:
    grown = a_crowd()
    grown[20:50, 140:170] = 255

    without_face = cleanup.remove_islands(a_crowd(), (), scale=1)
    with_face = cleanup.remove_islands(a_crowd(), (a_face(480, 150, 15),), scale=3)
    larger = cleanup.remove_islands(grown, (), scale=1)

    assert without_face[10:100, 20:90].min() == 255
    assert not without_face[:, 100:].any()
    assert with_face[50:56, 160:166].min() == 255
    assert not with_face[10:15, 120:125].any()
    assert np.array_equal(larger[20:50, 140:170], grown[20:50, 140:170])


def test_wide_faint_part_is_removed_except_near_a_head() -> None:
    matte = np.zeros((256, 256), np.uint8)
    matte[64:256, 64:160] = 255
    matte[64:256, 160:163] = 120  # an edge as soft as any
    matte[200:256, 160:240] = 80
    face = a_face(96, 70, 30)
    below = a_face(150, 190, 40)

    cleaned = cleanup.remove_islands(matte, (face,), scale=1)
    of_hair = cleanup.remove_islands(matte, (face, below), scale=1)
    without_faces = cleanup.remove_islands(matte, (), scale=1)

    assert np.array_equal(cleaned[:192, :166], matte[:192, :166])
    assert cleaned[64:256, 64:160].min() == 255
    assert not cleaned[204:, 176:].any()
    assert np.array_equal(of_hair[200:240, 160:200], matte[200:240, 160:200])
    assert np.array_equal(without_faces, matte)


def a_sheet(edge_at: int) -> Srgb8:
    """Return a photo of 400 × 400, bright up to a column and dark from there."""
    photo = np.full((400, 400, 3), 220, np.uint8)
    photo[:, edge_at:] = 30
    return photo


def a_network_saw(edge_at: float, *, softness_px: float = 8) -> Matte8:
    """Return a matte of 400 × 400, whole on the left, none on the right, soft in between."""
    column = np.arange(400) + 0.5
    levels = 255 * np.clip(0.5 - (column - edge_at) / softness_px, 0, 1)
    return np.tile(levels.round().astype(np.uint8), (400, 1))


def drawn(matte: Matte8, photo: Srgb8, *, proxy: Srgb8 | None = None, edge: Edge) -> Matte8:
    effort = edge_learning.EFFORTS[edge]
    learned = edge_learning.learn_edge(
        edge_learning.shrink_inputs(matte, photo if proxy is None else proxy, effort=effort),
        effort=effort,
        faces=(),
        scale=photo.shape[1] / matte.shape[1],
    )
    return edge_pixels.upsample(learned, photo)


@pytest.mark.parametrize("edge", list(Edge))
def test_misplaced_soft_edge_moves_to_the_edge_in_the_photo(edge: Edge) -> None:
    matte = drawn(a_network_saw(204), a_sheet(200), edge=edge)

    assert matte.shape == (400, 400)
    assert matte[200, 190] >= 250
    assert matte[200, 197] > 200
    assert matte[200, 203] < 60
    assert matte[200, 212] <= 5


@pytest.mark.parametrize("edge", [Edge.BALANCED, Edge.BEST])
def test_strands_finer_than_the_matte_are_drawn_from_the_photo(edge: Edge) -> None:
    """Lines of two pixels on a photo four times as large as the matte's source."""
    photo = np.full((1600, 1600, 3), 230, np.uint8)
    photo[:, :700] = 40
    photo[::16, 700:760] = photo[1::16, 700:760] = 40
    proxy: Srgb8 = photo.reshape(400, 4, 400, 4, 3).mean(axis=(1, 3)).astype(np.uint8)

    matte = drawn(a_network_saw(182, softness_px=16), photo, proxy=proxy, edge=edge)

    strands, gaps = matte[800:1040:16, 710:750], matte[808:1040:16, 710:750]
    assert strands.mean() > 180
    assert gaps.mean() < 80


def test_grain_of_the_photo_is_no_veil_around_hair() -> None:
    grain = np.random.default_rng(0).normal(0, 50, (400, 400, 3))
    photo = np.clip(a_sheet(200) / 2 + 60 + grain, 0, 255).astype(np.uint8)
    effort = edge_learning.EFFORTS[Edge.BALANCED]
    inputs = edge_learning.shrink_inputs(a_network_saw(200), photo, effort=effort)

    learned = edge_learning.learn_edge(inputs, effort=effort, faces=(a_face(150, 150, 100),))
    band = edge_pixels.upsample(learned, photo)[100:300, 185:215]

    # A straight edge 2 pixels wide is a fifteenth of the band.
    assert ((band > 15) & (band < 240)).mean() < 0.1


def test_lines_of_gray_pictures_are_not_thrown_off_by_rounding() -> None:
    gray = np.repeat(noise(120, 120)[..., :1], 3, axis=2)
    coverage = np.divide(gray[..., 0], 255, dtype=np.float32)
    fitted = ColorLines(gray, np.ones_like(coverage), radius=4, unsure=np.ones((120, 120), bool))

    lines = fitted.fit_lines(coverage)

    assert np.abs(lines[..., :3].sum(axis=2) - 1).max() < 0.05
    assert np.abs(color_lines.evaluate_lines(lines, gray) - coverage).max() < 0.02


def test_mostly_covered_face_becomes_whole() -> None:
    matte = np.full((100, 100), 130, np.uint8)

    made = heads.complete_faces(matte, (a_face(80, 80, 40),), scale=2)

    assert made[50, 50] == made[46:54, 46:54].min() == 255
    assert made[10, 10] == matte.max() == 130


@pytest.mark.parametrize("level", [0, 60, 255])
def test_removed_face_stays_removed_and_whole_face_stays_unchanged(level: int) -> None:
    matte = np.full((60, 60), level, np.uint8)

    assert heads.complete_faces(matte, (a_face(20, 20, 20), a_face(-90, 300, 5)), scale=1) is matte


def test_background_next_to_a_profile_is_no_part_of_the_face() -> None:
    matte = np.zeros((100, 100), np.uint8)
    matte[:, :64] = 255

    assert heads.complete_faces(matte, (a_face(30, 30, 40),), scale=1) is matte


SKIN, HAIR, WALL = (200, 160, 140), (45, 35, 30), (120, 110, 100)
SITTER = a_face(80, 60, 40)


def a_sitter(*, hair: tuple[int, int, int] = HAIR, shirt: tuple[int, int, int]) -> Srgb8:
    """Draw a head with a bare neck and wide shoulders before a wall, 200 × 200."""
    photo = np.full((200, 200, 3), WALL, np.uint8)
    cv2.ellipse(photo, (100, 75), (34, 40), 0, 0, 360, hair, -1)
    cv2.ellipse(photo, (100, 86), (24, 30), 0, 0, 360, SKIN, -1)
    photo[105:150, 88:112] = SKIN
    photo[135:, 30:170] = shirt
    return photo


def is_sitter(photo: Srgb8) -> Bools:
    return np.asarray((photo != WALL).any(axis=2))


def test_hair_is_found_at_its_own_edge_and_not_at_a_shirt_of_its_color() -> None:
    photo = a_sitter(shirt=HAIR)

    hair = heads.hair_nearby(photo, is_sitter(photo), (SITTER,), scale=1)

    assert hair[30:80, 60:64].min() == hair[33, 80:120].min() == 1
    assert hair[132, 30:80].max() == hair[160, 26:30].max() == 0


def test_bald_head_has_no_hair() -> None:
    photo = a_sitter(hair=SKIN, shirt=(20, 20, 90))

    assert not heads.hair_nearby(photo, is_sitter(photo), (SITTER,), scale=1).any()


@pytest.mark.parametrize("face", [a_face(-90, 300, 5), a_face(99, 99, 2), a_face(-50, -50, 900)])
@pytest.mark.parametrize("level", [0, 1])
def test_face_of_any_size_and_place_is_looked_at(face: Face, level: int) -> None:
    people = np.full((200, 200), level, np.bool_)

    hair = heads.hair_nearby(noise(200, 200), people, (face, SITTER), scale=1)

    assert hair.shape == (200, 200)
    assert 0 <= hair.min() <= hair.max() <= 1


def test_marks_on_the_wall_in_a_shirt_s_color_are_no_strands_of_it() -> None:
    photo = a_sitter(shirt=(90, 85, 75))
    matte = np.where(is_sitter(photo), np.uint8(255), np.uint8(0))
    matte = np.asarray(cv2.GaussianBlur(matte, (0, 0), 1), np.uint8)
    photo[130:135, 36:75:9] = photo[130:135, 37:75:9] = (90, 85, 75)
    effort = edge_learning.EFFORTS[Edge.BALANCED]
    inputs = edge_learning.shrink_inputs(matte, photo, effort=effort)

    learned = edge_learning.learn_edge(inputs, effort=effort, faces=(SITTER,))
    above = edge_pixels.upsample(learned, photo)[128:134, 40:80]

    assert above.max() == 0


@pytest.mark.parametrize("size", [(1, 5), (2, 2), (400, 400)], ids=str)
def test_edge_too_small_or_too_large_to_solve_stays_unchanged(size: tuple[int, int]) -> None:
    coverage = np.full(size, 0.5, np.float32)

    solved = closed_form.solve(coverage, noise(*size), doubt=np.zeros_like(coverage))

    assert np.array_equal(solved, coverage)


@pytest.mark.parametrize("steepness", [1, 9])
def test_old_background_is_removed_from_mixed_colors(steepness: float) -> None:
    red = np.array([180.0, 20, 20])
    alpha = np.tile(np.clip((22.5 - np.arange(90)) / 5, 0, 1), (60, 1))[..., np.newaxis]
    photo = (red * alpha + 250 * (1 - alpha)).round().astype(np.uint8)
    coverage = np.clip((alpha - 0.5) * steepness + 0.5, 0, 1).astype(np.float32)
    colors = edge_pixels.estimate_colors(photo, coverage[..., 0])
    cut = CutOut(photo, (coverage[..., 0] * 255).round().astype(np.uint8), *colors)

    made = layers.load(Path("unused")).over(cut, np.zeros_like(photo))

    # As photographed, with a hard edge 92 levels are white's.
    assert np.abs(made - red * coverage).max() < 40
    assert np.array_equal(made[:, :14], photo[:, :14])


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"matte": a_network_saw(190)},
        {"proxy_srgb": a_sheet(190)},
        {"effort": edge_learning.EFFORTS[Edge.BALANCED]},
        {"scale": 2.0},
        {"faces": (a_face(x=90, y=60, side=50),)},
    ],
)
def test_edge_is_learned_once_for_equal_inputs(changed: dict[str, Any]) -> None:
    cache = EdgeCache()
    inputs: dict[str, Any] = {
        "matte": a_network_saw(204),
        "proxy_srgb": a_sheet(200),
        "effort": FAST,
        "faces": (),
        "scale": 1.0,
    }

    first = cache.learn_edge(**inputs)
    other = cache.learn_edge(**inputs | changed)

    assert (other is first) == (not changed)


def a_scene(*people: tuple[int, int]) -> tuple[Srgb8, Srgb8, Matte8]:
    """Return a photo of 1600 × 1200, its proxy of half the size and a matte, with people at x, y.

    A person is 100 pixels wide and 200 high.
    """
    photo = noise(1200, 1600)
    matte = np.zeros((600, 800), np.uint8)
    for x, y in people:
        person = photo[y : y + 200, x : x + 100]
        person[:] = 250 - person // 4
        matte[(y + 4) // 2 : (y + 198) // 2, (x + 4) // 2 : (x + 98) // 2] = 255
    matte[:] = cv2.GaussianBlur(matte, (0, 0), 3)
    proxy = photo.reshape(600, 2, 800, 2, 3).mean(axis=(1, 3)).astype(np.uint8)
    return photo, proxy, matte


def cut_out(scene: tuple[Srgb8, Srgb8, Matte8], *faces: Face, edge: Edge = Edge.BALANCED) -> CutOut:
    photo, proxy, matte = scene
    return layers.load(Path("unused")).cut(
        photo, proxy_srgb=proxy, matte=matte, edge=edge, faces=faces
    )


@pytest.mark.parametrize("edge", list(Edge))
def test_person_is_cut_out_the_same_with_any_others_in_the_photo(edge: Edge) -> None:
    alone, both = a_scene((900, 300)), a_scene((900, 300), (200, 700))
    face = a_face(930, 310, 40)
    part = slice(0, 650), slice(700, 1600)

    by_herself = cut_out(alone, face, edge=edge)
    with_another = cut_out((alone[0], alone[1], both[2]), face, edge=edge)

    assert with_another.matte[700:, :500].any()
    assert np.array_equal(with_another.matte[part], by_herself.matte[part])


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([], [PeopleBox(0, 0, 300, 200)]),
        ([(20, 50, 40, 150)], [PeopleBox(0, 36, 60, 168)]),
        (
            [(0, 0, 10, 10), (200, 100, 210, 110)],
            [PeopleBox(0, 0, 24, 24), PeopleBox(180, 84, 228, 132)],
        ),
        ([(0, 0, 10, 10), (26, 0, 30, 10)], [PeopleBox(0, 0, 48, 24)]),
        (
            [(60 * n, 60, 60 * n + 4, 64) for n in range(3)],
            [PeopleBox(0, 48, 24, 84), PeopleBox(48, 48, 84, 84), PeopleBox(108, 48, 144, 84)],
        ),
    ],
)
def test_boxes_hold_the_groups_of_people_and_a_margin(
    parts: list[tuple[int, int, int, int]], expected: list[PeopleBox]
) -> None:
    matte = np.zeros((200, 300), np.uint8)
    for left, top, right, bottom in parts:
        matte[top:bottom, left:right] = 13

    assert layers.find_people_boxes(matte) == expected


def test_crowd_shares_a_box_and_several_groups_an_effort() -> None:
    matte = np.zeros((600, 800), np.uint8)
    matte[24::144, 24::144] = 255
    balanced = edge_learning.EFFORTS[Edge.BALANCED]

    assert layers.find_people_boxes(matte) == [PeopleBox(12, 12, 768, 480)]
    assert len(layers.find_people_boxes(matte[:400, :500])) == 12
    assert balanced.split(4) is balanced
    assert balanced.split(16).small_size == balanced.small_size / 4


def test_soft_or_large_matte_is_made_smaller() -> None:
    sharp = np.zeros((200, 300), np.uint8)
    sharp[50:150, 100:200] = 255
    soft = np.asarray(cv2.GaussianBlur(sharp, (0, 0), 6), np.uint8)

    assert edge_learning.choose_step(sharp, size=60_000) == 1
    assert edge_learning.choose_step(sharp, size=15_000) == 2
    assert edge_learning.choose_step(soft, size=60_000) > 2


def test_maps_of_boxes_are_joined() -> None:
    colors = np.arange(12, dtype=np.float32).reshape(2, 2, 3)
    boxes = [PeopleBox(20, 0, 40, 20), PeopleBox(0, 20, 20, 40)]

    whole = layers.join_maps([colors, colors + 50], boxes, width=50, height=40)

    assert whole.shape == (40, 50, 3)
    assert np.array_equal(whole[2:18:15, 22:38:15], colors)
    assert np.array_equal(whole[22:38:15, 2:18:15], colors + 50)
    assert not whole[20:, 20:].any()
    everything = [PeopleBox(0, 0, 50, 40)]
    assert layers.join_maps([colors], everything, width=50, height=40) is colors
