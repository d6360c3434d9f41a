"""The models, backgrounds, filters, saved recipes and own pictures that a recipe can name.

Also tickets: uploads of photos, and live video.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field

from smart_filter_wire.formats import Id, JsonObject, Moment, described
from smart_filter_wire.words import (
    BackgroundSource,
    Commercial,
    FilterNeed,
    KeywordKind,
    Mood,
    PictureState,
    PictureUse,
    StageName,
    TaskName,
    VersionState,
)


@dataclass(frozen=True, slots=True)
class ModelWeights:
    """A file of weights and the SHA-256 of its bytes."""

    name: str
    sha256: str


@dataclass(frozen=True, slots=True)
class ModelRequirements:
    """Requirements of a model: Python packages, and the extra that installs them."""

    packages: tuple[str, ...]
    extra: str | None


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """Trained weights of a model: live, a candidate, or retired.

    data_set: version of the data set of corrections that they were trained on.
    deletions: how many of their training photos were deleted since.
    """

    digest: str
    state: VersionState
    data_set: int | None
    trained_on: str
    trained_at: Moment
    deletions: int


@dataclass(frozen=True, slots=True)
class Model:
    """The card of a model.

    commercial: whether code, weights and training data allow commercial use.
    research: whether that is anything but yes; such models can be turned off.
    emotions: whether it infers emotions from faces.
    digest: digest of its current weights; null when it has none or chooses among several.
    versions: weights that were trained for it on this server.
    parameters: JSON Schema of the parameters, set with `<task>.params.NAME`.
    fault: why it is not offered; for an offered model, why no live worker can load it.
    """

    name: str
    version: str
    task: TaskName
    stage: StageName
    family: str
    title: str
    source: str
    license: str
    data_terms: str
    commercial: Commercial
    research: bool
    emotions: bool
    default: bool
    weights: tuple[ModelWeights, ...]
    digest: str | None
    versions: tuple[ModelVersion, ...]
    input_size: tuple[int, ...] | None
    batch_size: int
    quality: Mapping[str, float]
    speed: Mapping[str, float]
    devices: tuple[str, ...]
    parameters: JsonObject
    needs: ModelRequirements
    capability: str
    tells_persons_apart: bool
    offered: bool
    fault: str | None


@dataclass(frozen=True, slots=True)
class ModelPage:
    """All offered models, on one page."""

    items: tuple[Model, ...]
    next_cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Background:
    """A named background; palette: its colors, brightness: from 0, black, to 1, white.

    source: `generated`, or the owner of the picture: `site`, the operator; `tenant`, the caller.
    surface: whether other backgrounds can be printed on it, as in `preset:rainbow+linen`.
    """

    name: str
    title: str
    source: BackgroundSource
    family: str
    tags: tuple[str, ...]
    moods: tuple[Mood, ...]
    palette: tuple[str, ...]
    brightness: float
    surface: bool
    thumbnail: str = field(metadata=described("Path of a WebP of 240 × 160 pixels"))


@dataclass(frozen=True, slots=True)
class BackgroundPage:
    """All named backgrounds, on one page."""

    items: tuple[Background, ...]
    next_cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Keyword:
    """A word that `keywords:` understands; the kind `name` stands for one background.

    word: one word, or several with spaces, such as `fairy lights`.  count: how many of the caller's
    backgrounds match it; null for colors and tones, which every background matches to some degree.
    """

    word: str
    kind: KeywordKind
    count: int | None


@dataclass(frozen=True, slots=True)
class KeywordPage:
    """All keywords in order, on one page."""

    items: tuple[Keyword, ...]
    next_cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Filter:
    """A named filter.

    needs: the results it needs, `faces` or `smiles`; null for neither.
    parameters: JSON Schema of the parameters, set with `filters.<name>.NAME`.
    """

    name: str
    title: str
    needs: FilterNeed | None
    parameters: JsonObject


@dataclass(frozen=True, slots=True)
class FilterPage:
    """All filters, on one page."""

    items: tuple[Filter, ...]
    next_cursor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedRecipe:
    """A recipe that submissions can name."""

    name: str
    title: str | None = field(metadata=described("Of a built-in recipe"))
    built_in: bool
    recipe: JsonObject = field(metadata=described("Its fields, as they were saved"))
    changed_at: Moment | None = field(metadata=described("null for a built-in recipe"))
    source: str | None = field(
        metadata=described("Page that states the figures of a built-in recipe")
    )
    checked: dt.date | None = field(metadata=described("Day on which `source` did"))


@dataclass(frozen=True, slots=True)
class SavedRecipePage:
    """The recipes that the caller's submissions can name."""

    items: tuple[SavedRecipe, ...]
    logos: tuple[str, ...] = field(metadata=described("Pictures that `logo` of a recipe can name"))
    next_cursor: None = None


@dataclass(frozen=True, slots=True)
class PictureError:
    """Why a picture was refused; code: as of a failed job."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class TenantPicture:
    """A picture of the tenant's own, which recipes name as `preset:NAME` or as `logo`."""

    name: str = field(metadata=described("Such as `tenant/lobby`"))
    use: PictureUse
    title: str
    tags: tuple[str, ...]
    state: PictureState
    bytes: int
    sha256: str = field(metadata=described("Of the bytes that were sent last"))
    width: int | None = field(metadata=described("In pixels, like `height`; null until it is read"))
    height: int | None
    thumbnail: str | None = field(
        metadata=described(
            "Path of a WebP of 240 × 160 pixels; null until recipes can name the picture. "
            "While another one replaces it, it stays usable"
        )
    )
    error: PictureError | None
    created_at: Moment


@dataclass(frozen=True, slots=True)
class TenantPicturePage:
    """The pictures of the tenant's own, by name."""

    items: tuple[TenantPicture, ...]
    next_cursor: None = None


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload: where to PUT the photo."""

    upload_id: Id = field(metadata=described("Reference to the photo for `POST /v1/jobs`"))
    put_url: str = field(metadata=described("URL that accepts the announced photo by PUT"))
    headers: Mapping[str, str] = field(metadata=described("Headers to send with the PUT"))
    expires_at: Moment = field(
        metadata=described("The photo must be uploaded and submitted before this time")
    )


@dataclass(frozen=True, slots=True)
class LiveConnection:
    """The address of live video, and a token that opens one connection there."""

    url: str = field(metadata=described("URL of a WebSocket: `ws://` or `wss://`"))
    token: str = field(
        repr=False,
        metadata=described(
            "Send it in the WebSocket's handshake, as the second "
            "subprotocol after `smart-filter-live`; never put it into the URL"
        ),
    )
    expires_at: Moment = field(
        metadata=described(
            "The connection must start before this time, and ends at it unless the client "
            'sends the token of another request as `{"token": …}`'
        )
    )
