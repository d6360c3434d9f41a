"""Validate the values of settings, and describe invalid ones.

No error message repeats a value that can be secret: a password in a URL, or a key.
"""

import ipaddress
import json
import re
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath
from typing import Annotated, Final, Literal
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
)
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, NoDecode

from smart_filter_shared.config import NO_BROKER
from smart_filter_shared.security import signing_certificate, urls

# Upper bound of every duration; a longer one is a typing error.
_TEN_YEARS: Final = 10 * 366 * 24 * 3600.0
_DAY: Final = 24 * 3600.0
# Ends the error for a server's variable that is not set.
OR_UP: Final = "or use `smart-filter up`, which starts servers of its own"
_FILE: Final = "file://"
_NO_PATH: Final = re.compile(r"[?#]|%00|%(?![0-9A-Fa-f]{2})")
_MIN_SECRET_CHARACTERS: Final = 32
_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_REGION: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
# The host becomes part of the studio's Content-Security-Policy, where `;` and `,` are separators.
_HOST: Final = re.compile(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]")
_CAPABILITY: Final = re.compile(r"[a-z]+\.[a-z0-9][a-z0-9_-]*")


def _split_commas(listed: object) -> object:
    """Return the comma-separated words of a variable; return any other value unchanged."""
    if not isinstance(listed, str):
        return listed
    return tuple(word.strip() for word in listed.split(",") if word.strip())


def _parse_host_or_network(entry: str) -> str:
    """Return a network in CIDR notation or a host name, each in its canonical form."""
    try:
        return str(ipaddress.ip_network(entry))
    except ValueError:
        pass
    try:
        return urls.parse_host(entry)
    except ValueError:
        raise ValueError("is neither a host nor a network") from None


def _parse_network(entry: str) -> str:
    """Return an address or a network in CIDR notation, in its canonical form."""
    try:
        return str(ipaddress.ip_network(entry))
    except ValueError:
        raise ValueError("is neither an address nor a network") from None


def _origin(entry: str) -> str:
    """Return an origin as browsers write it, or `*`."""
    if entry == "*":
        return entry
    scheme, _, place = entry.partition("://")
    if scheme not in {"http", "https"} or not place or set(place) & set("/?#@*"):
        raise ValueError("is not an origin")
    default = ":443" if scheme == "https" else ":80"
    return f"{scheme}://{place.lower().removesuffix(default)}"


def _capability(entry: str) -> str:
    if _CAPABILITY.fullmatch(entry) is None:
        raise ValueError("is not a capability, which is a stage, a dot and a family of models")
    return entry


def _database(url: SecretStr) -> SecretStr:
    parts = _split(url.get_secret_value(), "postgresql+psycopg")
    if parts.netloc.count("@") > 1:
        # The text after the first @ would be parsed as the host, and errors would show it.
        raise ValueError("has more than one @; in a password write @ as %40")
    if len(parts.path) < len("/d"):
        raise ValueError("has no database name after the host")
    return url


def _broker(url: SecretStr | None) -> SecretStr | None:
    if url is None or url.get_secret_value() == NO_BROKER:
        return None
    parts = _split(url.get_secret_value(), "redis", "rediss")
    if not parts.hostname:
        raise ValueError("has no host")
    if re.fullmatch(r"/?[0-9]*", parts.path) is None:
        raise ValueError("has a database that is not a number")
    return url


def _endpoint(*schemes: str) -> Callable[[str], str]:
    """Return a validator of URLs without path and credentials, which have settings of their own."""

    def validate(url: str) -> str:
        parts = _split(url, *schemes)
        if "@" in parts.netloc:
            raise ValueError("has a user or a password; leave them out")
        if _HOST.fullmatch(re.sub(r":[0-9]+$", "", parts.netloc)) is None:
            raise ValueError("has no valid host")
        if parts.path not in {"", "/"} or parts.query:
            raise ValueError("has a path or a query after the host; leave it out")
        return url

    return validate


def _storage(url: str) -> str:
    """Return the URL of an S3 endpoint, or of a folder without a slash at its end."""
    if not url.startswith(_FILE):
        return _endpoint("http", "https")(url)
    written = url.removeprefix(_FILE).rstrip("/")
    path = PurePosixPath(unquote(written))
    if not path.is_absolute() or ".." in path.parts or _NO_PATH.search(written) is not None:
        raise ValueError("is not file:// and an absolute path; write ? as %3F, # as %23, % as %25")
    return f"{_FILE}{written}"


def _collector(url: str) -> str:
    """Return a URL without a slash at its end, to which a path can be added."""
    parts = _split(url, "http", "https")
    if "@" in parts.netloc:
        raise ValueError("has a user or a password; leave them out")
    if not parts.hostname:
        raise ValueError("has no host")
    if parts.query:
        raise ValueError("has a query; leave out the ? and the text after it")
    return url.rstrip("/")


class GroupGrant(BaseModel):
    """The access of a provider's group: a tenant and its scopes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    group: str = Field(min_length=1, max_length=1000)
    tenant: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")
    scopes: tuple[Literal["submit", "read", "admin", "operator"], ...] = Field(min_length=1)


def is_provider_url(url: str) -> bool:
    """Whether a URL is https, or http on this machine, without a user and a fragment."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    if "@" in parts.netloc or parts.fragment or not parts.hostname:
        return False
    is_local = parts.hostname in {"localhost", "127.0.0.1", "::1"}
    return parts.scheme == "https" or (parts.scheme == "http" and is_local)


def _issuer(url: str) -> str:
    parts = _split(url, "http", "https")
    if parts.query or not is_provider_url(url):
        raise ValueError("is not https://host[/path] (http only on localhost)")
    return url


def _grants(listed: object) -> object:
    """Return the grants of a JSON text; return any other value unchanged."""
    if not isinstance(listed, str):
        return listed
    try:
        entries = json.loads(listed)
        return tuple(GroupGrant.model_validate(entry) for entry in entries)
    except (ValueError, TypeError):
        raise ValueError("is not a JSON list of group, tenant and scopes") from None


def _prefix(url: str) -> tuple[str, str]:
    """Return the bucket and the prefix of `s3://bucket/prefix/`.  Raises ValueError."""
    bucket, slash, prefix = url.removeprefix("s3://").partition("/")
    segments = prefix.split("/")
    if (
        not (url.startswith("s3://") and slash and _BUCKET.fullmatch(bucket))
        or (prefix and segments.pop())
        or (prefix and {"", ".", ".."}.intersection(segments))
        or not prefix.isprintable()
    ):
        raise ValueError("it is not s3://BUCKET/ or s3://BUCKET/PREFIX/, with a / at its end")
    return bucket, prefix


class S3Folder(BaseModel):
    """Objects under `source` become a tenant's photos, with a recipe; results go to `target`.

    source, target: `s3://bucket/prefix/`.  recipe: as the query of a URL, `background=keep&…`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    tenant: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")
    source: Annotated[str, AfterValidator(lambda url: _prefix(url) and url)]
    target: Annotated[str, AfterValidator(lambda url: _prefix(url) and url)]
    recipe: str = ""

    @property
    def source_prefix(self) -> tuple[str, str]:
        """The bucket and the prefix of the source."""
        return _prefix(self.source)

    @property
    def target_prefix(self) -> tuple[str, str]:
        """The bucket and the prefix of the target."""
        return _prefix(self.target)

    @property
    def fields(self) -> Mapping[str, str | list[str]]:
        """The fields of the recipe; a repeated one is a list.  Raises ValueError."""
        fields: dict[str, list[str]] = {}
        pairs = parse_qsl(self.recipe, keep_blank_values=True, strict_parsing=bool(self.recipe))
        for name, value in pairs:
            fields.setdefault(name, []).append(value)
        return {name: each if each[1:] else each[0] for name, each in fields.items()}


def _folders(listed: object) -> object:
    """Return the S3 folders of a JSON text; return any other value unchanged."""
    if not isinstance(listed, str):
        return listed
    try:
        folders = tuple(S3Folder.model_validate(entry) for entry in json.loads(listed))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        text = f"has no valid {'.'.join(map(str, first['loc']))}: {first['msg']}"
        # `describe_error` formats it.
        raise ValueError(text.replace("{", "{{").replace("}", "}}")) from None
    except (ValueError, TypeError):
        raise ValueError("is not a JSON list of tenant, source, target and recipe") from None
    for folder in folders:
        try:
            _ = folder.fields
        except ValueError:
            raise ValueError("has a recipe that is not like background=keep&format=png") from None
    sources = [folder.source for folder in folders]
    for number, source in enumerate(sources):
        # Results in a source would become photos again; a photo in two sources, two jobs.
        for other in (*(folder.target for folder in folders), *sources[:number]):
            if source.startswith(other) or other.startswith(source):
                text = f"has {other} inside {source}, or the reverse; separate them"
                raise ValueError(text.replace("{", "{{").replace("}", "}}"))
    return folders


def _split(url: str, *schemes: str) -> SplitResult:
    """Return the parts of a URL.  Raises ValueError, whose message repeats no part of it."""
    expected = " or ".join(f"{scheme}://" for scheme in schemes)
    if any(character.isspace() or not character.isprintable() for character in url):
        raise ValueError("has a space or an unprintable character")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        # The usual cause is a password with a slash or a bracket.
        raise ValueError(
            "has no valid port, 1 to 65535; in a password write / as %2F, # as %23, [ as %5B"
        ) from None
    if parts.scheme not in schemes or not url.startswith(f"{parts.scheme}://"):
        raise ValueError(f"does not begin with {expected}")
    if port == 0:
        raise ValueError("has port 0, on which no server listens")
    if parts.fragment:
        raise ValueError("has a #; in a password write it as %23")
    return parts


def _matching(pattern: re.Pattern[str], wrong: str) -> Callable[[str], str]:
    def validate(text: str) -> str:
        if pattern.fullmatch(text) is None:
            raise ValueError(wrong)
        return text

    return validate


def _check_secret_length(secret: SecretStr) -> SecretStr:
    length = len(secret.get_secret_value())
    if length < _MIN_SECRET_CHARACTERS:
        raise ValueError(f"has {length} characters; it needs at least {_MIN_SECRET_CHARACTERS}")
    return secret


def _certificate_chain(pem: str) -> str:
    signing_certificate.read_chain(pem)
    return pem


def _private_key(pem: SecretStr) -> SecretStr:
    signing_certificate.read_key(pem.get_secret_value())
    return pem


def _require_a_day(seconds: float) -> float:
    """Return how long records are kept, if it is 0, for ever, or at least a day."""
    if 0 < seconds < _DAY:
        raise ValueError(f"is less than a day, {_DAY:g} seconds; 0 keeps records for ever")
    return seconds


RecordSeconds = Annotated[
    float,
    Field(ge=0, le=10 * _TEN_YEARS, allow_inf_nan=False),
    AfterValidator(_require_a_day),
]
Seconds = Annotated[float, Field(gt=0, le=_TEN_YEARS, allow_inf_nan=False)]
DatabaseUrl = Annotated[
    SecretStr,
    AfterValidator(_database),
    Field(examples=["postgresql+psycopg://user:password@host:5432/smart_filter"]),
]
BrokerUrl = Annotated[
    SecretStr | None,
    AfterValidator(_broker),
    Field(examples=["redis://:password@host:6379/0"]),
]
HttpEndpoint = Annotated[
    str, AfterValidator(_endpoint("http", "https")), Field(examples=["https://s3.example.com"])
]
StorageUrl = Annotated[str, AfterValidator(_storage), Field(examples=["https://s3.example.com"])]
CollectorEndpoint = Annotated[str, AfterValidator(_collector)]
IssuerUrl = Annotated[
    str, AfterValidator(_issuer), Field(examples=["https://login.example.com/realms/photos"])
]
GroupGrants = Annotated[
    tuple[GroupGrant, ...],
    NoDecode,
    BeforeValidator(_grants),
    Field(examples=['[{"group": "photos", "tenant": "shop", "scopes": ["submit", "read"]}]']),
]
S3Folders = Annotated[
    tuple[S3Folder, ...],
    NoDecode,
    BeforeValidator(_folders),
    Field(examples=['[{"tenant": "shop", "source": "s3://in/", "target": "s3://out/"}]']),
]
SocketEndpoint = Annotated[
    str, AfterValidator(_endpoint("ws", "wss")), Field(examples=["wss://live.example.com"])
]
Bucket = Annotated[
    str,
    AfterValidator(_matching(_BUCKET, "is not a valid S3 bucket name: 3 to 63 of a-z 0-9 . -")),
]
Region = Annotated[str, AfterValidator(_matching(_REGION, "is not a valid region name"))]
Capabilities = Annotated[
    tuple[Annotated[str, AfterValidator(_capability)], ...],
    NoDecode,
    BeforeValidator(_split_commas),
    Field(examples=["segmentation.detectron2,smile.geometry"]),
]
HostsAndNetworks = Annotated[
    tuple[Annotated[str, AfterValidator(_parse_host_or_network)], ...],
    NoDecode,
    BeforeValidator(_split_commas),
    Field(examples=["media.internal,10.1.0.0/16"]),
]
Networks = Annotated[
    tuple[Annotated[str, AfterValidator(_parse_network)], ...],
    NoDecode,
    BeforeValidator(_split_commas),
    Field(examples=["10.1.2.3,10.2.0.0/16"]),
]
Origins = Annotated[
    tuple[Annotated[str, AfterValidator(_origin)], ...],
    NoDecode,
    BeforeValidator(_split_commas),
    Field(examples=["https://app.example.com, or * for any"]),
]
CertificateChain = Annotated[
    str,
    AfterValidator(_certificate_chain),
    Field(examples=["-----BEGIN CERTIFICATE-----…, or name its file in …_FILE"]),
]
PrivateKey = Annotated[
    SecretStr,
    AfterValidator(_private_key),
    Field(examples=["-----BEGIN PRIVATE KEY-----…, or name its file in …_FILE"]),
]
Secrets = Annotated[
    tuple[Annotated[SecretStr, AfterValidator(_check_secret_length)], ...],
    NoDecode,
    BeforeValidator(_split_commas),
    Field(examples=["the output of `openssl rand -hex 32`"]),
]

_MESSAGES: Final[Mapping[str, str]] = {
    "float_parsing": "is not a number",
    "finite_number": "is not a finite number",
    "int_parsing": "is not an integer",
    "int_parsing_size": "is too large an integer",
    "literal_error": "must be {expected}",
    "bool_parsing": "is neither true nor false",
    "greater_than": "must be more than {gt:.15g}",
    "greater_than_equal": "must be {ge:.15g} or more",
    "less_than_equal": "must be {le:.15g} or less",
}


def describe_error(group: type[BaseSettings], error: ValidationError) -> str:
    """Return one line with the variable, its error and the remedy."""
    first = error.errors(include_input=False, include_url=False)[0]
    name, *entry = first["loc"]
    field = group.model_fields[str(name)]
    variable = f"{group.model_config.get('env_prefix', '')}{name}".upper()
    if first["type"] == "missing":
        example = f" to a value such as {field.examples[0]}" if field.examples else ""
        return f"{variable} is not set; set it{example}, {OR_UP}"
    message = _MESSAGES.get(first["type"], first["msg"].removeprefix("Value error, "))
    message = message.format_map(first.get("ctx", {}))
    position = f", entry {int(entry[0]) + 1}," if entry else ""
    return f"{variable}{position} {message}; set it to {_describe_expected(field)}"


def _describe_expected(field: FieldInfo) -> str:
    if isinstance(field.default, bool):
        return "true or false"
    if field.examples:
        return f"a value such as {field.examples[0]}"
    return f"a value such as {field.default}, the default"
