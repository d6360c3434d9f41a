"""How the people are joined to what stands behind them: light, shadow, outline, one file each."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from smart_filter_shared.recipe import Look, Shadow, ShadowKind
from smart_filter_workers.results import Face, Srgb8
from smart_filter_workers.stages.composite.ground import levels
from smart_filter_workers.stages.composite.look import harmonise, light_wrap, maps, outline, shadow
from smart_filter_workers.stages.composite.models.base import Compositor, CutOut, Srgba8

NOTHING: Final = Look(Shadow(ShadowKind.NONE), light_wrap=0.0, harmonise=0.0)


@dataclass(frozen=True, slots=True)
class Scene:
    """What the effects go by beside the pictures.

    drawn: whether the service drew the ground: elsewhere `auto` is nothing at all, because who
        brings a background of their own wants every pixel as it is.
    light: where the people's light comes from, -1 left to 1 right.
    faces: in pixels of the canvas.
    photo_ends: how far down the canvas, of its height, the photo shows anything: whoever reaches
        that is cut off there.
    """

    drawn: bool
    light: float = 0.0
    faces: Sequence[Face] = ()
    photo_ends: float = 1.0


def joined(
    compositor: Compositor, cut: CutOut, ground: Srgb8 | Srgba8, asked: Look, scene: Scene
) -> Srgb8 | Srgba8:
    """Lay the people on a ground of the canvas's size, which is used up for it."""
    look = decided(asked, scene)
    people = maps.grid(*cut.matte.shape).coverage(cut.matte)
    if look == NOTHING or not people.any():
        return compositor.over(cut, ground)
    # Before anything is drawn on it: people are not lit by their own shadow.
    around = light_wrap.light(ground) if look.light_wrap else None
    if look.harmonise:
        cut = harmonise.toward(cut, ground, strength=look.harmonise, faces=scene.faces)
    line = None if look.outline is None else outline.around(cut.matte, look.outline)
    casting = people if line is None else outline.filled(line, people)
    cast = shadow.of(casting, look.shadow, light=scene.light, photo_ends=scene.photo_ends)
    if cast is not None:
        shadow.darken(ground, cast, people)
    if line is not None and look.outline is not None:
        outline.draw(ground, line, levels(look.outline.colour))
    picture = compositor.over(cut, ground)
    if look.light_wrap and around is not None:
        light_wrap.wrap(picture, cut.matte, people, around, strength=look.light_wrap)
    return picture


def decided(asked: Look, scene: Scene) -> Look:
    """Return what is asked for with a number for every `auto`."""
    drawn = scene.drawn
    is_auto = asked.shadow.kind == ShadowKind.AUTO
    # A sticker is not part of what it is stuck on.
    wraps = drawn and asked.outline is None
    return replace(
        asked,
        shadow=Shadow(ShadowKind.NONE) if is_auto and not drawn else asked.shadow,
        light_wrap=light_wrap.AUTO * wraps if asked.light_wrap is None else asked.light_wrap,
        harmonise=harmonise.AUTO * drawn if asked.harmonise is None else asked.harmonise,
    )
