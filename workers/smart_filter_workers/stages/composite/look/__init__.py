"""Blend the people with the background: light, shadow and outline, one file each.

Called by modules above.
Calls backgrounds, shared, stages.composite.models.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from smart_filter_shared.recipe import Look, Shadow, ShadowKind
from smart_filter_shared.results import Face
from smart_filter_workers.results import Srgb8, Srgba8
from smart_filter_workers.stages.composite.background import parse_css_color
from smart_filter_workers.stages.composite.look import coarse_grid, light, outline, shadow
from smart_filter_workers.stages.composite.models.base import Compositor, CutOut

NO_LOOK: Final = Look(Shadow(ShadowKind.NONE), light_wrap=0.0, harmonize=0.0)


@dataclass(frozen=True, slots=True)
class LookContext:
    """The facts that the effects use besides the pictures.

    drawn: whether the service drew the ground. Otherwise `auto` means no effect, because a client
        with a background of its own wants every pixel unchanged.
    light: direction of the people's light, -1 left to 1 right.
    faces: in pixels of the canvas.
    photo_ends: lower end of the photo on the canvas, as a share of its height: people who reach it
        are cut off there.
    """

    drawn: bool
    light: float = 0.0
    faces: Sequence[Face] = ()
    photo_ends: float = 1.0


def join_people(
    compositor: Compositor, cut: CutOut, ground: Srgb8 | Srgba8, asked: Look, scene: LookContext
) -> Srgb8 | Srgba8:
    """Composite the people onto a ground of the canvas's size; the ground is overwritten."""
    look = resolve_auto(asked, scene)
    if look == NO_LOOK:
        return compositor.over(cut, ground)
    people = coarse_grid.make_grid(*cut.matte.shape).shrink_matte(cut.matte)
    if not people.any():
        return compositor.over(cut, ground)
    # Measure before drawing on the ground: people are not lit by their own shadow.
    around = light.measure_light(ground) if look.light_wrap else None
    if look.harmonize:
        cut = light.harmonize_people(cut, ground, strength=look.harmonize, faces=scene.faces)
    line = None if look.outline is None else outline.find_line(cut.matte, look.outline)
    casting = people if line is None else outline.add_to_people(line, people)
    cast = shadow.compute_shadow(
        casting, look.shadow, light=scene.light, photo_ends=scene.photo_ends
    )
    if cast is not None:
        shadow.darken(ground, cast, people)
    if line is not None and look.outline is not None:
        outline.draw(ground, line, parse_css_color(look.outline.color))
    picture = compositor.over(cut, ground)
    if look.light_wrap and around is not None:
        light.wrap_light(picture, cut.matte, people, around, strength=look.light_wrap)
    return picture


def resolve_auto(asked: Look, scene: LookContext) -> Look:
    """Return the look with a number for every `auto`."""
    drawn = scene.drawn
    is_auto = asked.shadow.kind == ShadowKind.AUTO
    # A sticker is not part of the scene behind it: no light wrap with an outline.
    wraps = drawn and asked.outline is None
    return replace(
        asked,
        shadow=Shadow(ShadowKind.NONE) if is_auto and not drawn else asked.shadow,
        light_wrap=_strength(asked.light_wrap, light.AUTO_WRAP if wraps else 0.0),
        harmonize=_strength(asked.harmonize, light.AUTO_HARMONIZE if drawn else 0.0),
    )


def _strength(asked: float | None, auto: float) -> float:
    return auto if asked is None else asked
