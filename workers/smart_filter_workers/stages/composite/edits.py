"""List what was changed between the photo and a file, for the file's provenance."""

from collections.abc import Iterator

from smart_filter_shared.recipe import BackgroundKind
from smart_filter_shared.results import Frame
from smart_filter_workers.results import CompositeResult, Edit, Srgb8
from smart_filter_workers.stages.composite import background
from smart_filter_workers.stages.composite.inputs import Inputs

_EDITS = {
    BackgroundKind.BLUR: Edit.BACKGROUND_BLURRED,
    BackgroundKind.TRANSPARENT: Edit.BACKGROUND_REMOVED,
}


def list_picture_edits(made: CompositeResult, inputs: Inputs) -> tuple[Edit, ...]:
    """Return the edits of the people on their background.

    made: the result with its background, frame and filters.
    """
    chosen = made.background
    replaced: list[Edit] = []
    if chosen is not None and not background.is_photo(chosen):
        replaced = [_EDITS.get(BackgroundKind(chosen.kind), Edit.BACKGROUND_REPLACED)]
    if background.find_light_curve(chosen, inputs) is not None:
        replaced = [Edit.LIGHT_CORRECTED]
    drawn = [Edit.FILTERED] if any(filter_.applied for filter_ in made.filters) else []
    if inputs.logo is not None:
        drawn.append(Edit.LOGO_ADDED)
    frame = _frame_edits(made.frame, inputs.photo.srgb)
    return (*_take_edits(inputs), *replaced, *drawn, *frame)


def list_cut_out_edits(made: CompositeResult, inputs: Inputs) -> tuple[Edit, ...]:
    """Return the edits of the people alone.  made: the result with its frame."""
    frame = _frame_edits(made.frame, inputs.photo.srgb)
    return (*_take_edits(inputs), Edit.BACKGROUND_REMOVED, *frame)


def list_swaps(inputs: Inputs) -> tuple[tuple[int, int], ...]:
    """Return the replaced faces, as a file lists them."""
    swaps = () if inputs.take is None else inputs.take.swaps
    return tuple((swap.person, swap.item + 1) for swap in swaps)


def _take_edits(inputs: Inputs) -> Iterator[Edit]:
    if list_swaps(inputs):
        yield Edit.FACES_REPLACED


def _frame_edits(frame: Frame | None, photo_srgb: Srgb8) -> Iterator[Edit]:
    if frame is None:
        return
    height, width = photo_srgb.shape[:2]
    if frame.scale != 1:
        yield Edit.RESIZED
    shown = (round(frame.scale * width), round(frame.scale * height), 0, 0)
    if shown != (frame.width, frame.height, round(frame.left), round(frame.top)):
        yield Edit.CROPPED
