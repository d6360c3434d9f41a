"""The recipe of a job: its values, and the parsers of its fields.

`declaration` tells how a field is declared; `fields.parse` makes a recipe of a client's fields;
`background`, `framing`, `look`, `files` and `logo` declare and parse the values of their part.

Called by api, deploy, jobs, model_registry, training, workers.
Calls catalog, presets, security, wire.
"""

from smart_filter_shared.recipe.background import SUBJECT_MATCHED_KINDS, Background, BackgroundKind
from smart_filter_shared.recipe.declaration import AUTO
from smart_filter_shared.recipe.document_photos import DocumentPhoto
from smart_filter_shared.recipe.fields import from_json
from smart_filter_shared.recipe.files import Effort, Files, Provenance
from smart_filter_shared.recipe.framing import Crop, Framing, Length, OutputSize, Require, Sheet
from smart_filter_shared.recipe.look import (
    Filter,
    Logo,
    LogoPlace,
    Look,
    Outline,
    Shadow,
    ShadowKind,
)
from smart_filter_shared.recipe.recipe import (
    CHOOSABLE_TASKS,
    Edge,
    Format,
    Mask,
    PersonSelection,
    Recipe,
    Subject,
    format_persons,
    required_stages,
)
from smart_filter_wire.words import Output
