"""How the people are joined to what stands behind them: light, shadow, outline, one file each."""

from smart_filter_shared.recipe import Look
from smart_filter_workers.results import Srgb8
from smart_filter_workers.stages.composite.models.base import Compositor, CutOut, Srgba8


def joined(
    compositor: Compositor,
    cut: CutOut,
    ground: Srgb8 | Srgba8,
    look: Look,  # noqa: ARG001 - the effects are on their way
) -> Srgb8 | Srgba8:
    """Lay the people on a ground of the canvas's size, which is used up for it."""
    return compositor.over(cut, ground)
