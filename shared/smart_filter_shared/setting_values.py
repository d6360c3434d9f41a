"""What the values of settings look like, and what is said of one that does not.

Nothing here repeats a value that may be secret: a password in a URL, or a key.
"""

import ipaddress
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Final
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, NoDecode

from smart_filter_shared import web_address

# As long as anything here takes or is kept; more is a slip of the finger.
_TEN_YEARS: Final = 10 * 366 * 24 * 3600.0
_LEAST_SECRET: Final = 32
_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_REGION: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
# It stands in the studio's Content-Security-Policy, where `;` and `,` begin something else.
_HOST: Final = re.compile(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]")
_CAPABILITY: Final = re.compile(r"[a-z]+\.[a-z0-9][a-z0-9_-]*")


def _words(listed: object) -> object:
    """Split what a variable lists with commas."""
    if not isinstance(listed, str):
        return listed
    return tuple(word.strip() for word in listed.split(",") if word.strip())


def _reachable(entry: str) -> str:
    """Return a network as CIDR or a host's name, each in its usual spelling."""
    try:
        return str(ipaddress.ip_network(entry))
    except ValueError:
        pass
    try:
        return web_address.read_host(entry)
    except ValueError:
        raise ValueError("is not a host, nor a network") from None


def _origin(entry: str) -> str:
    """Return an origin as browsers write it, or `*`."""
    if entry == "*":
        return entry
    scheme, _, place = entry.partition("://")
    if scheme not in {"http", "https"} or not place or set(place) & set("/?#@*"):
        raise ValueError("is no origin")
    default = ":443" if scheme == "https" else ":80"
    return f"{scheme}://{place.lower().removesuffix(default)}"


def _capability(entry: str) -> str:
    if _CAPABILITY.fullmatch(entry) is None:
        raise ValueError("is no capability, which is a stage and a family of models")
    return entry


def _database(url: SecretStr) -> SecretStr:
    parts = _split(url.get_secret_value(), "postgresql+psycopg")
    if parts.netloc.count("@") > 1:
        # What stands behind the first would be taken for the host, and told in errors.
        raise ValueError("holds more than one @; in a password write @ as %40")
    if len(parts.path) < len("/d"):
        raise ValueError("names no database behind the host")
    return url


def _broker(url: SecretStr) -> SecretStr:
    parts = _split(url.get_secret_value(), "redis", "rediss")
    if not parts.hostname:
        raise ValueError("names no host")
    if re.fullmatch(r"/?[0-9]*", parts.path) is None:
        raise ValueError("names a database that is no number")
    return url


def _endpoint(*schemes: str) -> Callable[[str], str]:
    """Return what reads an address that has no path; whom it names stands elsewhere."""

    def read(url: str) -> str:
        parts = _split(url, *schemes)
        if "@" in parts.netloc:
            raise ValueError("names a user or a password; leave them out")
        if _HOST.fullmatch(re.sub(r":[0-9]+$", "", parts.netloc)) is None:
            raise ValueError("names no host")
        if parts.path not in {"", "/"} or parts.query:
            raise ValueError("has something behind the host; leave it out")
        return url

    return read


def _collector(url: str) -> str:
    """Return an address to which a path can be added."""
    parts = _split(url, "http", "https")
    if "@" in parts.netloc:
        raise ValueError("names a user or a password; leave them out")
    if not parts.hostname:
        raise ValueError("names no host")
    if parts.query:
        raise ValueError("has a ?; leave out what is behind it")
    return url.rstrip("/")


def _split(url: str, *schemes: str) -> SplitResult:
    """Return the parts of a URL.  Raises ValueError, which repeats nothing of it."""
    expected = " or ".join(f"{scheme}://" for scheme in schemes)
    if any(one.isspace() or not one.isprintable() for one in url):
        raise ValueError("holds a blank, or what cannot be seen")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        # Mostly a password with a slash or a bracket.
        raise ValueError(
            "names no port of 1 to 65535; in a password write / as %2F, # as %23, [ as %5B"
        ) from None
    if parts.scheme not in schemes or not url.startswith(f"{parts.scheme}://"):
        raise ValueError(f"does not begin with {expected}")
    if port == 0:
        raise ValueError("names port 0, at which nobody listens")
    if parts.fragment:
        raise ValueError("holds a #; in a password write it as %23")
    return parts


def _matching(pattern: re.Pattern[str], wrong: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if pattern.fullmatch(text) is None:
            raise ValueError(wrong)
        return text

    return read


def _long(secret: SecretStr) -> SecretStr:
    length = len(secret.get_secret_value())
    if length < _LEAST_SECRET:
        raise ValueError(f"is {length} characters long, and needs {_LEAST_SECRET} or more")
    return secret


Seconds = Annotated[float, Field(gt=0, le=_TEN_YEARS, allow_inf_nan=False)]
DatabaseUrl = Annotated[
    SecretStr,
    AfterValidator(_database),
    Field(examples=["postgresql+psycopg://user:password@host:5432/smart_filter"]),
]
BrokerUrl = Annotated[
    SecretStr, AfterValidator(_broker), Field(examples=["redis://:password@host:6379/0"])
]
HttpEndpoint = Annotated[
    str, AfterValidator(_endpoint("http", "https")), Field(examples=["https://s3.example.com"])
]
CollectorEndpoint = Annotated[str, AfterValidator(_collector)]
SocketEndpoint = Annotated[
    str, AfterValidator(_endpoint("ws", "wss")), Field(examples=["wss://live.example.com"])
]
Bucket = Annotated[
    str, AfterValidator(_matching(_BUCKET, "is no name that S3 allows: 3 to 63 of a-z 0-9 . -"))
]
Region = Annotated[str, AfterValidator(_matching(_REGION, "is no name of a region"))]
Capabilities = Annotated[
    tuple[Annotated[str, AfterValidator(_capability)], ...],
    NoDecode,
    BeforeValidator(_words),
    Field(examples=["segmentation.detectron2,smile.geometry"]),
]
Reachable = Annotated[
    tuple[Annotated[str, AfterValidator(_reachable)], ...],
    NoDecode,
    BeforeValidator(_words),
    Field(examples=["media.internal,10.1.0.0/16"]),
]
Origins = Annotated[
    tuple[Annotated[str, AfterValidator(_origin)], ...],
    NoDecode,
    BeforeValidator(_words),
    Field(examples=["https://app.example.com, or * for any"]),
]
Secrets = Annotated[
    tuple[Annotated[SecretStr, AfterValidator(_long)], ...],
    NoDecode,
    BeforeValidator(_words),
    Field(examples=["what `openssl rand -hex 32` prints"]),
]

_WRONG: Final[Mapping[str, str]] = {
    "float_parsing": "is no number",
    "finite_number": "is no finite number",
    "int_parsing": "is no whole number",
    "int_parsing_size": "is no whole number of usual size",
    "literal_error": "must be {expected}",
    "bool_parsing": "is neither true nor false",
    "greater_than": "must be more than {gt:.15g}",
    "greater_than_equal": "must be {ge:.15g} or more",
    "less_than_equal": "must be {le:.15g} or less",
}


def told(group: type[BaseSettings], error: ValidationError) -> str:
    """Return one line that names the variable, what is wrong with its value, and the remedy."""
    first = error.errors(include_input=False, include_url=False)[0]
    name, *entry = first["loc"]
    field = group.model_fields[str(name)]
    variable = f"{group.model_config.get('env_prefix', '')}{name}".upper()
    if first["type"] == "missing":
        like = f" to something like {field.examples[0]}" if field.examples else ""
        return (
            f"{variable} is not set; set it{like}, or use `smart-filter up`, which brings servers"
        )
    wrong = _WRONG.get(first["type"], first["msg"].removeprefix("Value error, "))
    wrong = wrong.format_map(first.get("ctx", {}))
    which = f", entry {int(entry[0]) + 1}," if entry else ""
    return f"{variable}{which} {wrong}; set it to {_right(field)}"


def _right(field: FieldInfo) -> str:
    if isinstance(field.default, bool):
        return "true or false"
    if field.examples:
        return f"something like {field.examples[0]}"
    return f"something like {field.default}, which it is when nothing is set"
