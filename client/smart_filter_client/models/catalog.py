"""The models, backgrounds, filters and saved recipes of a server."""

from dataclasses import dataclass, field

from smart_filter_client.fields import Fields, JsonObject


@dataclass(frozen=True, slots=True)
class Model:
    """A model of the server for a task; `default`: `auto` means this one.

    commercial: whether code, weights and training data allow commercial use: yes, no, or ask;
        "" from a server that does not tell. `document["data_terms"]` names the data.
    research: whether that is anything but yes.
    offered: whether a recipe can name it.  fault: why it is not offered, or, for an offered model,
        why no live worker can load it, so that its jobs wait.
    """

    task: str
    name: str
    version: str
    title: str
    license: str
    default: bool
    offered: bool
    fault: str | None
    research: bool = field(default=False, kw_only=True)
    commercial: str = field(default="", kw_only=True)
    document: JsonObject = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Preset:
    """A background that a recipe names as `preset:NAME`.

    source: `generated`, `site` (the operator's) or `tenant` (your own).
    moods: the moods it suits.  palette: its colors as #rrggbb.  brightness: 0 black to 1 white.
    surface: whether others can be printed on it, as in `preset:rainbow+linen`.
    """

    name: str
    title: str
    source: str
    family: str
    tags: tuple[str, ...]
    moods: tuple[str, ...]
    palette: tuple[str, ...]
    brightness: float | None
    surface: bool


@dataclass(frozen=True, slots=True)
class SavedRecipe:
    """Recipe fields under a name, which a recipe names as `recipe`.

    title: of a built-in recipe.  source: the page that states the figures of a built-in recipe.
    """

    name: str
    title: str | None
    built_in: bool
    recipe: JsonObject
    source: str | None


@dataclass(frozen=True, slots=True)
class Keyword:
    """A word that `keywords:` in a recipe understands.

    kind: tag, name (of one background), synonym, mood, tone or color.
    count: how many backgrounds match it; None for tones and colors.
    """

    word: str
    kind: str
    count: int | None


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter that a recipe can name.

    needs: what it must know of the people: `faces`, `smiles` or None.
    parameters: JSON Schema of its parameters.
    """

    name: str
    title: str
    needs: str | None
    parameters: JsonObject


def keyword_from(document: object) -> Keyword:
    """Parse a keyword.  Raises UnexpectedAnswer."""
    fields = Fields(document, "a keyword")
    return Keyword(fields.text("word"), fields.text("kind"), fields.integer_or_none("count"))


def saved_recipe_from(document: object) -> SavedRecipe:
    """Parse a saved recipe.  Raises UnexpectedAnswer."""
    fields = Fields(document, "a saved recipe")
    recipe = fields.document.get("recipe")
    return SavedRecipe(
        name=fields.text("name"),
        title=fields.text_or_none("title"),
        built_in=fields.boolean_or_none("built_in") or False,
        recipe=recipe if isinstance(recipe, dict) else {},
        source=fields.text_or_none("source"),
    )


def filter_from(document: object) -> Filter:
    """Parse a filter.  Raises UnexpectedAnswer."""
    fields = Fields(document, "a filter")
    return Filter(
        name=fields.text("name"),
        title=fields.text_or_none("title") or "",
        needs=fields.text_or_none("needs"),
        parameters=fields.mapping("parameters"),
    )


def preset_from(document: object) -> Preset:
    """Parse a background.  Raises UnexpectedAnswer."""
    fields = Fields(document, "a background")
    return Preset(
        name=fields.text("name"),
        title=fields.text_or_none("title") or "",
        source=fields.text_or_none("source") or "",
        family=fields.text_or_none("family") or "",
        tags=fields.texts("tags"),
        moods=fields.texts("moods"),
        palette=fields.texts("palette"),
        brightness=fields.number_or_none("brightness"),
        surface=fields.boolean_or_none("surface") is True,
    )


def model_from(document: object) -> Model:
    """Parse a model.  Raises UnexpectedAnswer."""
    fields = Fields(document, "a model")
    return Model(
        task=fields.text("task"),
        name=fields.text("name"),
        version=fields.text_or_none("version") or "",
        title=fields.text_or_none("title") or "",
        license=fields.text_or_none("license") or "",
        default=fields.boolean_or_none("default") is True,
        offered=fields.boolean_or_none("offered") is not False,
        fault=fields.text_or_none("fault"),
        research=fields.boolean_or_none("research") is True,
        commercial=fields.text_or_none("commercial") or "",
        document=fields.document,
    )
