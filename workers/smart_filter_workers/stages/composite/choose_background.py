"""Choose the background: the one that the recipe asks for, or one that suits the people."""

from dataclasses import replace

from smart_filter_shared.pipeline import TaskName
from smart_filter_shared.recipe import (
    AUTO,
    SUBJECT_MATCHED_KINDS,
    Background,
    BackgroundKind,
    Mask,
    Subject,
)
from smart_filter_shared.results import MIN_PEOPLE_SHARE, ChosenBackground, LowerEnd, Smiles
from smart_filter_workers.backgrounds import keywords
from smart_filter_workers.backgrounds.choice import moods, selection, styles, subject_stats
from smart_filter_workers.backgrounds.choice.moods import InferredMood
from smart_filter_workers.backgrounds.choice.subject_stats import SubjectStats
from smart_filter_workers.backgrounds.collection import Collection
from smart_filter_workers.results import Segmentation
from smart_filter_workers.stages.composite import replacement
from smart_filter_workers.stages.composite.inputs import Inputs
from smart_filter_workers.stages.composite.matting.covered_faces import is_covered


def resolve(inputs: Inputs, *, may_keep: bool = True) -> ChosenBackground:
    """Return the background to use, with the reason.

    may_keep: whether `auto` may keep the photo's own background; not in live video, where it would
    show the room.

    A stored picture that has been deleted is skipped, unless the recipe names it. Raises
    InputsExpired in that case, and StorageUnavailable.
    """
    asked, segmented = inputs.recipe.background, inputs.segmented
    if asked.kind == BackgroundKind.KEEP:
        return ChosenBackground(asked.kind, None, (), "asked for: the photo's own background")
    if segmented is None:
        raise ValueError(f"background {asked} needs the people's matte")
    given = inputs.has_mask and segmented.matte.any()
    if segmented.coverage < MIN_PEOPLE_SHARE and not given:
        missing = "nothing stands out" if segmented.any_subject else "no person was found"
        seen = f"{missing} ({segmented.coverage:.1%} of the photo)"
        return ChosenBackground(BackgroundKind.KEEP, None, (), f"{seen}: the photo is kept")
    if asked.kind not in SUBJECT_MATCHED_KINDS:
        return _use_requested(asked, inputs.collection)
    sitters = _measure_subjects(inputs, segmented)
    if may_keep and _is_free(inputs, segmented):
        reason = replacement.find_reason_to_keep(
            segmented, photo_height=inputs.prepared.height
        ) or replacement.find_reason_in_light(sitters)
        if reason is not None:
            return ChosenBackground(BackgroundKind.KEEP, None, (), reason)
    return _match_subjects(inputs, sitters)


def infer_mood(inputs: Inputs) -> InferredMood:
    """Return the mood of the people who stay in a photo, at least one, or of an object.

    All faces count where the photo is shown whole, or the matte covers none of them.
    """
    faces = inputs.faces.faces if inputs.faces is not None else ()
    smiles, segmented = inputs.smiles, inputs.segmented
    stay = [
        index
        for index, face in enumerate(faces)
        if segmented is not None and is_covered(face, segmented.matte, inputs.prepared.width)
    ]
    if stay and inputs.recipe.background.kind != BackgroundKind.KEEP:
        faces = tuple(faces[index] for index in stay)
        if smiles is not None:
            smiles = Smiles(
                tuple(smiles.smiles[index] for index in stay),
                tuple(smiles.eyes[index] for index in stay),
            )
    persons = segmented.persons if segmented is not None else None
    is_any = segmented is not None and segmented.any_subject
    least = 0 if is_any or inputs.recipe.mask == Mask.UPLOAD else 1
    sizes = [face.box[2] * face.box[3] for face in faces]
    return moods.infer_mood(smiles, people=persons or max(least, len(faces)), sizes=sizes or None)


def _measure_subjects(inputs: Inputs, segmented: Segmentation) -> SubjectStats:
    """Return the measurements of the photo's people."""
    measured = subject_stats.measure_subjects(
        inputs.prepared.proxy_srgb,
        segmented.matte,
        inputs.faces.faces if inputs.faces is not None else (),
        scale=inputs.prepared.width / segmented.matte.shape[1],
    )
    return replace(measured, cut_off=segmented.lower_end == LowerEnd.THIGHS)


def _match_subjects(inputs: Inputs, sitters: SubjectStats) -> ChosenBackground:
    """Return the background that suits the people, among those that exist."""
    asked, collection = inputs.recipe.background, inputs.collection
    feeling = infer_mood(inputs)
    while True:
        among = collection.presets
        if asked.kind == BackgroundKind.KEYWORDS:
            choice = keywords.choose_by_keywords(
                str(asked.value), feeling, sitters, seed=inputs.seed, among=among
            )
        else:
            among = styles.filter_by_style(among, inputs.recipe.style)
            choice = selection.choose_preset(feeling, sitters, seed=inputs.seed, among=among)
        if choice.name is None or collection.has(choice.name):
            return choice
        collection = collection.excluding(choice.name)


def _is_free(inputs: Inputs, segmented: Segmentation) -> bool:
    """Return whether the recipe leaves the decision to the service.

    Users who place the people elsewhere, have drawn or sent the matte, or have asked for whatever
    stands out, have decided.
    """
    recipe = inputs.recipe
    is_auto = recipe.background.kind == BackgroundKind.AUTO
    given = inputs.drawn or recipe.mask == Mask.UPLOAD
    names_model = recipe.models[TaskName.SEGMENTATION] != AUTO
    was_asked = segmented.any_subject and (recipe.subject != Subject.AUTO or names_model)
    return is_auto and not given and not recipe.framing.moves_people and not was_asked


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
