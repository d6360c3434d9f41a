import numpy as np
import pytest
from benchmarks import edge_errors, soft_edges, soft_scenes
from benchmarks.edges import simulate_network
from benchmarks.soft_edges import Case

from smart_filter_shared.recipe import Edge
from smart_filter_workers.results import Matte8
from smart_filter_workers.stages.composite.edges.edge_learning import EFFORTS
from smart_filter_workers.stages.prepare.stage import make_proxy


def a_strand(*, gap: bool) -> Matte8:
    """Make a square with a strand, with or without a gap where they meet."""
    matte = np.zeros((60, 60), np.uint8)
    matte[20:40, 10:30] = 255
    matte[29, 30:55] = 255
    if gap:
        matte[29, 30:33] = 0
    return matte


def test_soft_scene_is_drawn_the_same_each_time_with_strands_and_a_solid_part() -> None:
    scene, again = (soft_scenes.draw_scene(1, width=200) for _ in range(2))

    assert (scene.photo_srgb == again.photo_srgb).all()
    assert set(scene.parts) == {soft_scenes.FLYAWAY, soft_scenes.FUR}
    for part in scene.parts.values():
        matte = part.crop(scene.matte)
        assert ((matte > 25) & (matte < 230)).mean() > 0.02
        assert (matte == 255).mean() > 0.1


def test_covered_pixels_show_the_people_and_others_the_backdrop() -> None:
    """The truth explains the photo: people's light, and a share of one more light, 0 to 1."""
    scene = soft_scenes.draw_scene(1, width=200)

    rest = soft_scenes.decode(scene.photo_srgb) - scene.light
    share = 1 - scene.coverage[..., np.newaxis]

    # JPEG changes levels by a tenth of the light next to strands.
    assert np.quantile(rest, 0.01) > -0.1
    assert np.quantile(rest - share, 0.99) < 0.1


def test_connectivity_error_counts_the_gap_below_a_strand() -> None:
    truth = a_strand(gap=False)

    attached, floating = (
        edge_errors.connectivity(a_strand(gap=gap), truth) for gap in (False, True)
    )

    assert attached == 0
    # Three pixels of 3,600, in thousandths.
    assert floating == pytest.approx(3 / 3.6)


@pytest.mark.parametrize("number", [0, 1])
def test_edge_by_colors_is_nearer_to_soft_truth_than_half_of_it_and_none(number: int) -> None:
    scene = soft_scenes.draw_scene(number, width=480)
    proxy = make_proxy(scene.photo_srgb)
    case = Case(scene, proxy, simulate_network(scene.matte, proxy, number), (scene.face,))

    enlarged = soft_edges.enlarge_only(case)
    learned = soft_edges.cut_out(case, EFFORTS[Edge.BALANCED])
    truths = soft_edges.prepare_truths(scene)
    none, half, whole = (
        soft_edges.measure_errors(truths, cut)
        for cut in (enlarged, soft_edges.mix_mattes(enlarged, learned), learned)
    )

    for kind in truths:
        assert whole[kind].near < half[kind].near < none[kind].near
        assert whole[kind].delta_e < half[kind].delta_e < none[kind].delta_e
