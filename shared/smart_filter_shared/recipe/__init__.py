"""The recipe of a job: its values, and the parsers of its fields.

`fields.parse` makes a recipe of a client's fields; `background`, `framing` and `look` parse the
values of their part.
"""

from smart_filter_shared.recipe.fields import from_json
from smart_filter_shared.recipe.files import Effort, Files, Provenance
from smart_filter_shared.recipe.filters import Filter
from smart_filter_shared.recipe.framing import Crop, Framing, Length, OutputSize
from smart_filter_shared.recipe.logo import Logo, LogoPlace
from smart_filter_shared.recipe.look import Look, Outline, Shadow, ShadowKind
from smart_filter_shared.recipe.recipe import (
    CHOOSABLE_TASKS,
    COMPOSED_OUTPUTS,
    CUTOUT_OUTPUTS,
    PICTURE_OUTPUTS,
    SUBJECT_MATCHED_KINDS,
    Background,
    BackgroundKind,
    Edge,
    Format,
    Mask,
    Output,
    PersonSelection,
    Recipe,
    Subject,
    format_persons,
    has_alpha,
    required_stages,
)
from smart_filter_shared.recipe.words import AUTO

__all__ = [
    "AUTO",
    "CHOOSABLE_TASKS",
    "COMPOSED_OUTPUTS",
    "CUTOUT_OUTPUTS",
    "PICTURE_OUTPUTS",
    "SUBJECT_MATCHED_KINDS",
    "Background",
    "BackgroundKind",
    "Crop",
    "Edge",
    "Effort",
    "Files",
    "Filter",
    "Format",
    "Framing",
    "Length",
    "Logo",
    "LogoPlace",
    "Look",
    "Mask",
    "Outline",
    "Output",
    "OutputSize",
    "PersonSelection",
    "Provenance",
    "Recipe",
    "Shadow",
    "ShadowKind",
    "Subject",
    "format_persons",
    "from_json",
    "has_alpha",
    "required_stages",
]
