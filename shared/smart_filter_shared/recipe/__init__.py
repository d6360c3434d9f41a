"""What a job asks for: the values of a recipe here, how they are read in the modules below.

`fields.parse` makes a recipe of what somebody sent; `background`, `framing` and `look` know
the words of their part.
"""

from smart_filter_shared.recipe.files import Effort, Files
from smart_filter_shared.recipe.filters import Filter
from smart_filter_shared.recipe.framing import Crop, Framing, Length, Span
from smart_filter_shared.recipe.look import Look, Outline, Shadow, ShadowKind
from smart_filter_shared.recipe.recipe import (
    CHOOSABLE_TASKS,
    CHOSEN_BY_PEOPLE,
    COMPOSED,
    CUT_OUT,
    PICTURES,
    Background,
    BackgroundKind,
    Edge,
    Format,
    Output,
    Priority,
    Recipe,
    Whom,
    from_json,
    has_alpha,
    persons_of,
    persons_text,
    stages,
)
from smart_filter_shared.recipe.words import AUTO

__all__ = [
    "AUTO",
    "CHOOSABLE_TASKS",
    "CHOSEN_BY_PEOPLE",
    "COMPOSED",
    "CUT_OUT",
    "PICTURES",
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
    "Look",
    "Outline",
    "Output",
    "Priority",
    "Recipe",
    "Shadow",
    "ShadowKind",
    "Span",
    "Whom",
    "from_json",
    "has_alpha",
    "persons_of",
    "persons_text",
    "stages",
]
