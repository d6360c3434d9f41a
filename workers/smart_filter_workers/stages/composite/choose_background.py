"""Choose the background: the one that the recipe asks for, the photo's own, or one for the people.

`auto` gives a new background to people who are the subject of a photo and whose outline is certain.
Where the people are small, the place is the subject. Where they sit, lie or jump, another place
does not explain how. Where the outline is doubtful, or something next to the people may be a part
of them, an error does not show before the people's own background. A blur of it shows errors, too:
strict judges refused 12 of 24. Things and animals are cut out for those who ask for them, and stand
on light paper.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from smart_filter_shared.pipeline import TaskName
from smart_filter_shared.presets import Preset
from smart_filter_shared.recipe import (
    AUTO,
    SUBJECT_MATCHED_KINDS,
    Background,
    BackgroundKind,
    Mask,
    Recipe,
    Subject,
)
from smart_filter_shared.results import (
    MIN_PEOPLE_SHARE,
    ChosenBackground,
    Face,
    LowerEnd,
    SegmentationFacts,
    Smiles,
)
from smart_filter_workers.backgrounds import keywords
from smart_filter_workers.backgrounds.choice import moods, selection, subject_stats
from smart_filter_workers.backgrounds.choice.moods import InferredMood
from smart_filter_workers.backgrounds.choice.subject_stats import SubjectStats
from smart_filter_workers.backgrounds.library import Collection, filter_by_style
from smart_filter_workers.results import PreparedPhoto, Segmentation
from smart_filter_workers.stages.composite.cleanup import is_covered

# People who cover less than this share of the photo and are lower than this share of its height
# are a part of a place. Chosen on 60 labeled photos (benchmarks/replacement.py).
SUBJECT_SHARE: Final = 0.13
SUBJECT_HEIGHT: Final = 0.7
# Largest spread of an outline (SegmentationFacts). Of training photos with a new background, one
# strict judge refused 1 of 11, 2 of 16 and 5 of 21 up to it, in three sets; up to 0.002, 2 of 14, 5
# of 19 and 9 of 31. Most of these lack a part or show other people, which no spread tells.
MAX_OUTLINE_SPREAD: Final = 0.0015
# In a small photo networks are this many pixels apart at best. Of small training photos with a new
# background, the stricter of two judges refused 4 of 6 above it, up to 0.8, and 1 of 11 below.
SURE_SPREAD_PX: Final = 0.55
# Largest unclaimed share (SegmentationFacts): half an umbrella, a chair, a leaf. Of training photos
# in two sets, all 10 with a larger share were refused; the next smaller are at 0.0019, the next
# larger at 0.0033. Parts that the networks decide in the opposite way the other way around, too,
# would keep half of the photos, good ones as well. Shares differ by a hundredth between processors.
MAX_UNCLAIMED_SHARE: Final = 1 / 350
# What `auto` chooses from for a thing: white and light papers, as shops show their goods.
LIGHT_PAPERS: Final = frozenset({"studio-white", "paper-dove"})


@dataclass(frozen=True, slots=True)
class People:
    """The people of a photo, as a choice sees them.

    faces: of the face stage, in pixels of the photo; smiles: of the same.
    has_mask: whether the user sent the matte; is_drawn: whether the user drew on it.
    """

    prepared: PreparedPhoto
    segmented: Segmentation | None
    faces: Sequence[Face] = ()
    smiles: Smiles | None = None
    has_mask: bool = False
    is_drawn: bool = False


def resolve(
    recipe: Recipe,
    people: People,
    *,
    seed: int,
    collection: Collection,
    may_keep: bool = True,
) -> ChosenBackground:
    """Return the background to use, with the reason.

    collection: the backgrounds that the caller may name, and that `auto` chooses from.
    may_keep: whether `auto` may keep the photo's own background; not in live video, where it would
    show the room.

    A stored picture that has been deleted is skipped, unless the recipe names it. Raises
    InputsExpired in that case, and StorageUnavailable.
    """
    asked, segmented = recipe.background, people.segmented
    if asked.kind == BackgroundKind.KEEP:
        return ChosenBackground(asked.kind, None, (), "asked for: the photo's own background")
    if segmented is None:
        raise ValueError(f"background {asked} needs the people's matte")
    given = people.has_mask and segmented.matte.any()
    if segmented.coverage < MIN_PEOPLE_SHARE and not given:
        missing = "nothing stands out" if segmented.any_subject else "no person was found"
        seen = f"{missing} ({segmented.coverage:.1%} of the photo): the photo is kept"
        return ChosenBackground(BackgroundKind.KEEP, None, (), seen)
    if asked.kind not in SUBJECT_MATCHED_KINDS:
        return use_requested(asked, collection)
    sitters = _measure_subjects(people, segmented)
    if may_keep and _is_free(recipe, people, segmented):
        prepared = people.prepared
        size = prepared.width, prepared.height
        reason = find_reason_to_keep(segmented, sitters, photo_size=size)
        if reason is not None:
            return ChosenBackground(BackgroundKind.KEEP, None, (), reason)
    feeling = infer_mood(recipe, people)
    while True:
        among = collection.presets
        if asked.kind == BackgroundKind.KEYWORDS:
            choice = keywords.choose_by_keywords(
                str(asked.value), feeling, sitters, seed=seed, among=among
            )
        else:
            among = _suit_subject(filter_by_style(among, recipe.style), segmented)
            choice = selection.choose_preset(feeling, sitters, seed=seed, among=among)
        if choice.name is None or collection.has(choice.name):
            return choice
        collection = collection.excluding(choice.name)


def infer_mood(recipe: Recipe, people: People) -> InferredMood:
    """Return the mood of the people who stay in a photo, at least one, or of an object.

    All faces count where the photo is shown whole, or the matte covers none of them.
    """
    faces, smiles, segmented = people.faces, people.smiles, people.segmented
    stay = [
        index
        for index, face in enumerate(faces)
        if segmented is not None and is_covered(face, segmented.matte, people.prepared.width)
    ]
    if stay and recipe.background.kind != BackgroundKind.KEEP:
        faces = tuple(faces[index] for index in stay)
        if smiles is not None:
            smiles = Smiles(
                tuple(smiles.smiles[index] for index in stay),
                tuple(smiles.eyes[index] for index in stay),
            )
    persons = segmented.persons if segmented is not None else None
    is_any = segmented is not None and segmented.any_subject
    least = 0 if is_any or recipe.mask == Mask.UPLOAD else 1
    sizes = [face.box[2] * face.box[3] for face in faces]
    return moods.infer_mood(smiles, people=persons or max(least, len(faces)), sizes=sizes or None)


def _measure_subjects(people: People, segmented: Segmentation) -> SubjectStats:
    """Return the measurements of the photo's people."""
    measured = subject_stats.measure_subjects(
        people.prepared.proxy_srgb,
        segmented.matte,
        people.faces,
        scale=people.prepared.width / segmented.matte.shape[1],
    )
    return replace(measured, cut_off=segmented.lower_end == LowerEnd.THIGHS)


def _is_free(recipe: Recipe, people: People, segmented: Segmentation) -> bool:
    """Return whether the recipe leaves the decision to the service.

    Users who place the people elsewhere, have drawn or sent the matte, or have asked for whatever
    stands out, have decided.
    """
    given = people.is_drawn or recipe.mask == Mask.UPLOAD
    was_asked = segmented.any_subject and (
        recipe.subject != Subject.AUTO or recipe.models[TaskName.SEGMENTATION] != AUTO
    )
    decided = given or recipe.framing.moves_people or was_asked
    return recipe.background.kind == BackgroundKind.AUTO and not decided


def _suit_subject(designs: tuple[Preset, ...], segmented: Segmentation) -> tuple[Preset, ...]:
    """Return the designs for what was cut out; all where a style has no light paper."""
    papers = tuple(each for each in designs if segmented.any_subject and each.name in LIGHT_PAPERS)
    return papers or designs


def use_requested(asked: Background, collection: Collection) -> ChosenBackground:
    """Return the background that a recipe names, as one that needs no choice."""
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


def find_reason_to_keep(
    segmented: SegmentationFacts, sitters: SubjectStats, *, photo_size: tuple[int, int]
) -> str | None:
    """Return why the background of a photo of people is kept; None to replace it.

    No other place shares colored light.
    photo_size: width and height of the upright photo, in pixels.
    """
    if segmented.any_subject:
        return (
            "no person was found: the photo is kept, with better light; ask for subject=any to cut"
            " out what stands out"
        )
    _, height = photo_size
    tallest = max((person.box[3] for person in segmented.found or ()), default=height)
    if segmented.coverage < SUBJECT_SHARE and tallest < SUBJECT_HEIGHT * height:
        return (
            f"people take {segmented.coverage:.0%} of the photo: the place is kept, with better"
            " light"
        )
    if segmented.lower_end == LowerEnd.OTHER:
        return (
            "the photo hides where the people stand, or they sit, lie or jump: their place is kept,"
            " with better light"
        )
    spread, unclaimed = segmented.outline_spread or 0, segmented.unclaimed_share or 0
    most = max(MAX_OUTLINE_SPREAD, SURE_SPREAD_PX / max(photo_size))
    if segmented.needs_review or spread > most or unclaimed > MAX_UNCLAIMED_SHARE:
        return (
            "the outline of the people is not certain enough for another background: their own is"
            " kept, with better light"
        )
    if sitters.colored_light:
        return "the light is colored: the photo's own background is kept, with better light"
    return None
