import numpy as np
import pytest

from smart_filter_workers.networks.squares import Square


@pytest.mark.parametrize("side", [40.0, 400.0])
@pytest.mark.parametrize("angle", [0.0, 0.5])
def test_cut_lies_at_its_points(side: float, angle: float) -> None:
    picture = np.zeros((600, 600, 3), np.uint8)
    square = Square(centre=(300.0, 280.0), side=side, angle=angle)
    ((x, y),) = square.to_picture(np.array([[48, 20]], np.float32), 64)
    radius = side / 20
    rows, columns = np.mgrid[0:600, 0:600]
    picture[np.hypot(columns - x, rows - y) < radius] = 255

    cut = square.cut(picture, 64)[..., 0]

    rows, columns = np.mgrid[0:64, 0:64]
    centre = (columns * cut).sum() / cut.sum(), (rows * cut).sum() / cut.sum()
    # One pixel of the cut: half a pixel may come from where pixels' middles are counted.
    assert np.allclose(centre, (48, 20), atol=1)


def test_cut_beyond_the_picture_is_its_edge_or_black() -> None:
    gray = np.full((20, 20, 3), 200, np.uint8)
    turned = Square(centre=(0.0, 0.0), side=60.0, angle=0.3)
    upright = Square(centre=(0.0, 5.0), side=10.0, angle=0.0)

    assert np.allclose(turned.cut(gray, 32), 200 / 255, atol=1e-3)
    assert upright.cut(gray, 10, black_beyond=True)[:, :4].max() == 0


def test_cut_comes_back_to_where_it_was() -> None:
    square = Square(centre=(30.0, 20.0), side=10.0, angle=0.0)

    pasted = square.paste(np.ones((20, 20), np.float32), 40, 60)

    assert pasted.shape == (40, 60)
    assert pasted[16:24, 26:34].min() == 1
    assert pasted.sum() == pytest.approx(100, rel=0.15)
