"""Choose the background: the one that the recipe asks for, or one that suits the people."""

from dataclasses import replace
from functools import partial

from smart_filter_shared.recipe import SUBJECT_MATCHED_KINDS, Background, BackgroundKind
from smart_filter_shared.results import MIN_PEOPLE_SHARE, ChosenBackground
from smart_filter_workers.backgrounds import keywords
from smart_filter_workers.backgrounds.choice import moods, selection, subject_stats
from smart_filter_workers.backgrounds.choice.moods import InferredMood
from smart_filter_workers.backgrounds.collection import Collection
from smart_filter_workers.results import Segmentation
from smart_filter_workers.stages.composite import replacement
from smart_filter_workers.stages.composite.inputs import Inputs


def resolve(inputs: Inputs, *, may_keep: bool = True) -> ChosenBackground:
    """Return the background to use, with the reason.

    may_keep: whether `auto` may keep or blur the photo's own background; not in live video, where
    it would show the room.

    A stored picture that has been deleted is skipped, unless the recipe names it. Raises
    InputsExpired in that case, and StorageUnavailable.
    """
    choice = _choose_kind(inputs, may_keep=may_keep)
    is_free = inputs.recipe.background.kind in SUBJECT_MATCHED_KINDS
    while is_free and choice.name is not None and not inputs.collection.has(choice.name):
        inputs = replace(inputs, collection=inputs.collection.excluding(choice.name))
        choice = _choose_kind(inputs, may_keep=may_keep)
    return choice


def infer_mood(inputs: Inputs) -> InferredMood:
    """Return the mood of a photo with at least one person, or an object."""
    faces = inputs.faces.faces if inputs.faces is not None else ()
    persons = inputs.segmented.persons if inputs.segmented is not None else None
    least = 0 if inputs.segmented is not None and inputs.segmented.any_subject else 1
    sizes = [face.box[2] * face.box[3] for face in faces]
    return moods.infer_mood(
        inputs.smiles, people=persons or max(least, len(faces)), sizes=sizes or None
    )


def _choose_kind(inputs: Inputs, *, may_keep: bool) -> ChosenBackground:
    asked, segmented = inputs.recipe.background, inputs.segmented
    if asked.kind == BackgroundKind.KEEP:
        return ChosenBackground(asked.kind, None, (), "asked for: the photo's own background")
    if segmented is None:
        raise ValueError(f"background {asked} needs the people's matte")
    if segmented.coverage < MIN_PEOPLE_SHARE:
        seen = f"no person was found ({segmented.coverage:.1%} of the photo)"
        return ChosenBackground(BackgroundKind.KEEP, None, (), f"{seen}: the photo is kept")
    if asked.kind not in SUBJECT_MATCHED_KINDS:
        return _use_requested(asked, inputs.collection)
    kept = replacement.decide(segmented, photo_height=inputs.prepared.height)
    if kept is not None and may_keep and _is_free(inputs, segmented):
        return kept.to_chosen()
    by_words = asked.kind == BackgroundKind.KEYWORDS
    choice = (
        partial(keywords.choose_by_keywords, str(asked.value))
        if by_words
        else selection.choose_preset
    )
    return choice(
        infer_mood(inputs),
        subject_stats.measure_subjects(
            inputs.prepared.proxy_srgb,
            segmented.matte,
            inputs.faces.faces if inputs.faces is not None else (),
            scale=inputs.prepared.width / segmented.matte.shape[1],
        ),
        seed=inputs.seed,
        among=inputs.collection.presets,
    )


def _is_free(inputs: Inputs, segmented: Segmentation) -> bool:
    """Return whether the recipe leaves the decision to the service, and it is about people.

    Users who place the people elsewhere, or have drawn the matte, have decided.
    """
    framing = inputs.recipe.framing
    is_auto = inputs.recipe.background.kind == BackgroundKind.AUTO
    is_placed = framing.scale is not None or framing.position is not None
    return is_auto and not inputs.drawn and not is_placed and not segmented.any_subject


def _use_requested(asked: Background, collection: Collection) -> ChosenBackground:
    if asked.kind == BackgroundKind.PRESET and asked.value is not None:
        preset, surface = collection.get(asked.value)
        title = preset.title if surface is None else f"{preset.title} on {surface.title}"
        return ChosenBackground(asked.kind, asked.value, preset.tags, f"asked for: {title}")
    what = {
        BackgroundKind.COLOR: f"{asked.value}",
        BackgroundKind.BLUR: f"the photo's own background, blurred by {asked.value} of 1",
        BackgroundKind.FILE: "the uploaded background",
        BackgroundKind.URL: "the background at its address",
    }.get(asked.kind, "no background")
    blur = float(asked.value or 0) if asked.kind == BackgroundKind.BLUR else 0.0
    return ChosenBackground(asked.kind, None, (), f"asked for: {what}", blur=blur)
