"""Which background is used, and why: what was asked for, or what the people choose."""

from dataclasses import replace
from functools import partial

from smart_filter_shared.recipe import CHOSEN_BY_PEOPLE, Background, BackgroundKind
from smart_filter_workers.backgrounds import choose, keywords, moods, sitters
from smart_filter_workers.backgrounds.collection import Collection
from smart_filter_workers.backgrounds.moods import Feeling
from smart_filter_workers.results import Chosen
from smart_filter_workers.stages.composite.inputs import NOBODY_BELOW, Inputs


def chosen(inputs: Inputs) -> Chosen:
    """Say which background is used, and why.

    A picture that has gone since is passed over, unless it was asked for by name.
    Raises InputsExpired then, and StorageUnavailable.
    """
    choice = _chosen(inputs)
    is_free = inputs.recipe.background.kind in CHOSEN_BY_PEOPLE
    while is_free and choice.name is not None and not inputs.collection.has(choice.name):
        inputs = replace(inputs, collection=inputs.collection.without(choice.name))
        choice = _chosen(inputs)
    return choice


def feeling(inputs: Inputs) -> Feeling:
    """Return the mood of a photo of at least one person."""
    faces = inputs.faces.faces if inputs.faces is not None else ()
    persons = inputs.segmented.persons if inputs.segmented is not None else None
    sizes = [face.box[2] * face.box[3] for face in faces]
    return moods.read(inputs.smiles, people=persons or max(1, len(faces)), sizes=sizes or None)


def _chosen(inputs: Inputs) -> Chosen:
    asked, segmented = inputs.recipe.background, inputs.segmented
    if asked.kind == BackgroundKind.KEEP:
        return Chosen(asked.kind, None, (), "asked for: the photo's own background")
    if segmented is None:
        raise ValueError(f"background {asked} needs the people's matte")
    if segmented.coverage < NOBODY_BELOW:
        seen = f"nobody was found ({segmented.coverage:.1%} of the photo)"
        return Chosen(BackgroundKind.KEEP, None, (), f"{seen}, so the photo is kept as it is")
    if asked.kind not in CHOSEN_BY_PEOPLE:
        return _asked_for(asked, inputs.collection)
    by_words = asked.kind == BackgroundKind.KEYWORDS
    choice = partial(keywords.answer, str(asked.value)) if by_words else choose.choose
    return choice(
        feeling(inputs),
        sitters.look_at(
            inputs.prepared.proxy_srgb,
            segmented.matte,
            inputs.faces.faces if inputs.faces is not None else (),
            scale=inputs.prepared.width / segmented.matte.shape[1],
        ),
        seed=inputs.seed,
        among=inputs.collection.presets,
    )


def _asked_for(asked: Background, collection: Collection) -> Chosen:
    if asked.kind == BackgroundKind.PRESET and asked.value is not None:
        preset, surface = collection.named(asked.value)
        title = preset.title if surface is None else f"{preset.title} on {surface.title}"
        return Chosen(asked.kind, asked.value, preset.tags, f"asked for: {title}")
    what = {
        BackgroundKind.COLOR: f"{asked.value}",
        BackgroundKind.BLUR: f"the photo's own background, blurred by {asked.value} of 1",
        BackgroundKind.FILE: "the uploaded background",
        BackgroundKind.URL: "the background at its address",
    }.get(asked.kind, "no background")
    return Chosen(asked.kind, None, (), f"asked for: {what}")
