"""Settings from the environment: read once by `load`, passed on as values.

Every variable starts with SMART_FILTER_; docs/settings.md lists them.
"""

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from smart_filter_shared import places, web_address
from smart_filter_shared.errors import SetupFailed


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
        example = "a host such as media.internal, or a network such as 10.1.0.0/16"
        raise ValueError(f"{entry!r} is not {example}") from None


def _origin(entry: str) -> str:
    """Return an origin as browsers write it, or `*`."""
    if entry == "*":
        return entry
    scheme, _, place = entry.partition("://")
    if scheme not in {"http", "https"} or not place or set(place) & set("/?#@*"):
        raise ValueError(f"{entry!r} is not an origin such as https://app.example.com, or *")
    default = ":443" if scheme == "https" else ":80"
    return f"{scheme}://{place.lower().removesuffix(default)}"


def _collector(url: str) -> str:
    """Return an address to which a path can be added."""
    scheme, _, rest = url.partition("://")
    if scheme not in {"http", "https"} or not rest.strip("/") or set(rest) & set("?#@ "):
        # Not repeated: it may hold a password.
        raise ValueError("this is not an address such as http://collector:4318")
    return url.rstrip("/")


class DatabaseSettings(BaseSettings):
    """Where the truth is kept.

    url: `postgresql+psycopg://user:password@host:port/database`.
    """

    model_config = SettingsConfigDict(env_prefix="SMART_FILTER_DATABASE_", frozen=True)

    url: SecretStr


class BrokerSettings(BaseSettings):
    """Where the doorbell rings.

    url: `redis://:password@host:port/0`.
    """

    model_config = SettingsConfigDict(env_prefix="SMART_FILTER_BROKER_", frozen=True)

    url: SecretStr


class StorageSettings(BaseSettings):
    """Where bytes are kept.

    url: the S3 endpoint, `http(s)://host[:port]`.  public_url: what links handed out name
    instead of it.
    """

    model_config = SettingsConfigDict(env_prefix="SMART_FILTER_STORAGE_", frozen=True)

    url: str = Field(pattern=r"^https?://[^/]+/?$")
    access_key: SecretStr
    secret_key: SecretStr
    public_url: str | None = Field(default=None, pattern=r"^https?://[^/]+/?$")
    bucket: str = "smart-filter"
    region: str = "us-east-1"


class EngineSettings(BaseSettings):
    """How patient the engine is, and what it runs.

    lease_seconds: a worker that is not heard from for so long has lost its stages.
    heartbeat_seconds: how often it says that it is alive.
    sweep_seconds: how often somebody looks for lost leases, due retries and lost messages.
    max_attempts: how often a stage may raise or lose its worker.
    give_up_seconds: how long a stage waits for infrastructure before its job fails.
    stage_seconds: how long one run of a stage may take before its process is ended.
    drain_seconds: how long a worker that was told to stop finishes what it has begun.
    memory_mb: above so much a worker unloads models that it has not used lately; by default
        four fifths of what the machine, or the container, has.
    pools: capabilities such as `segmentation.detectron2` that have workers though none may
        have been seen yet: jobs for them are accepted and wait.
    remember: whether what was made of a photo serves its tenant's next submissions of it.
    research_weights: whether models run whose weights were made of data that is for research
        only, or of unknown terms.
    collect: whether workers make training material of corrections with consent.
    device: `cuda`: models that can use a GPU do not run without one; `auto`: on what there is.
    """

    model_config = SettingsConfigDict(env_prefix="SMART_FILTER_", frozen=True)

    lease_seconds: float = Field(default=30, gt=0)
    heartbeat_seconds: float = Field(default=5, gt=0)
    sweep_seconds: float = Field(default=1, gt=0)
    max_attempts: int = Field(default=3, ge=1, le=100)
    give_up_seconds: float = Field(default=3600, gt=0)
    stage_seconds: float = Field(default=120, gt=0)
    drain_seconds: float = Field(default=5, ge=0)
    memory_mb: float | None = Field(default=None, gt=0)
    pools: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_words)] = ()
    remember: bool = True
    research_weights: bool = True
    collect: bool = True
    device: Literal["auto", "cuda"] = "auto"


class KeepSettings(BaseSettings):
    """How long things are kept.

    input_seconds: photos and what stages make of them on the way; result_seconds: results.
    """

    model_config = SettingsConfigDict(env_prefix="SMART_FILTER_KEEP_", frozen=True)

    input_seconds: float = Field(default=24 * 3600, gt=0)
    result_seconds: float = Field(default=7 * 24 * 3600, gt=0)


class OutboundSettings(BaseSettings):
    """What addresses that others send may lead to.

    allow: hosts and networks that may be reached though they are not public, on any port.
    """

    model_config = SettingsConfigDict(env_prefix="SMART_FILTER_OUTBOUND_", frozen=True)

    allow: Annotated[
        tuple[Annotated[str, AfterValidator(_reachable)], ...], NoDecode, BeforeValidator(_words)
    ] = ()


class SecretsSettings(BaseSettings):
    """What secrets of others are sealed with before they are stored.

    key: one or more texts of at least 32 characters, separated by commas. The first seals, all
        open; without it there are no webhooks.
    """

    model_config = SettingsConfigDict(env_prefix="SMART_FILTER_SECRETS_", frozen=True)

    key: Annotated[
        tuple[Annotated[SecretStr, Field(min_length=32)], ...], NoDecode, BeforeValidator(_words)
    ] = ()


class LimitSettings(BaseSettings):
    """What a tenant may do of which the table `tenants` says nothing else; 0: whatever it wants.

    jobs_in_all: how many jobs may be unfinished, whoever's they are.
    """

    model_config = SettingsConfigDict(env_prefix="SMART_FILTER_LIMIT_", frozen=True)

    requests_per_minute: int = Field(default=6000, ge=0, le=10_000_000)
    jobs_waiting: int = Field(default=10_000, ge=0, le=10_000_000)
    megapixels_per_day: float = Field(default=0, ge=0, allow_inf_nan=False)
    jobs_in_all: int = Field(default=100_000, ge=0, le=10_000_000)


class BrowserSettings(BaseSettings):
    """What browsers may do.

    cors_origins: pages of which origins may call the API with a key of their own, such as
        `https://app.example.com`; `*`: any.
    session_idle_seconds: a session that is not used for so long ends; session_seconds: and
        however much it is used, after so long.
    session_secure: whether cookies are for https alone though requests come by http, as behind
        a proxy that ends TLS.
    """

    model_config = SettingsConfigDict(env_prefix="SMART_FILTER_", frozen=True)

    cors_origins: Annotated[
        tuple[Annotated[str, AfterValidator(_origin)], ...], NoDecode, BeforeValidator(_words)
    ] = ()
    session_idle_seconds: int = Field(default=3600, ge=60, le=30 * 24 * 3600)
    session_seconds: int = Field(default=12 * 3600, ge=60, le=30 * 24 * 3600)
    session_secure: bool = False


class RemovebgSettings(BaseSettings):
    """The interface that clients of remove.bg speak.

    seconds: how long a request waits for its picture; such clients give up after 20 s.
    """

    model_config = SettingsConfigDict(env_prefix="SMART_FILTER_REMOVEBG_", frozen=True)

    seconds: float = Field(default=18, gt=0, le=300)


class OtlpSettings(BaseSettings):
    """Where traces are told.

    url: of a collector that speaks OTLP over HTTP, `http(s)://host[:port]`; none: nowhere.
    """

    model_config = SettingsConfigDict(env_prefix="SMART_FILTER_OTLP_", frozen=True)

    url: Annotated[str, AfterValidator(_collector)] | None = None


class LiveSettings(BaseSettings):
    """Live video.

    url: where clients reach a live worker, `ws(s)://host[:port]`.
    secret: one or more texts of at least 32 characters, separated by commas, the same for API
        and live workers. The first signs tokens, all read them; without it, or without url,
        there is no live video.
    connections: how many a live worker has at most; connections_each: of them of one tenant.
    """

    model_config = SettingsConfigDict(env_prefix="SMART_FILTER_LIVE_", frozen=True)

    # It stands in the studio's Content-Security-Policy, where `;` and `,` begin something else.
    url: str | None = Field(
        default=None, pattern=r"^wss?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?/?$"
    )
    secret: Annotated[
        tuple[Annotated[SecretStr, Field(min_length=32)], ...], NoDecode, BeforeValidator(_words)
    ] = ()
    connections: int = Field(default=8, ge=1, le=1000)
    connections_each: int = Field(default=4, ge=1, le=1000)


@dataclass(frozen=True, slots=True)
class Settings:
    """All that a server process is told by its environment."""

    database: DatabaseSettings
    broker: BrokerSettings
    storage: StorageSettings
    engine: EngineSettings
    keep: KeepSettings
    outbound: OutboundSettings
    secrets: SecretsSettings
    limits: LimitSettings
    browser: BrowserSettings
    removebg: RemovebgSettings
    live: LiveSettings
    otlp: OtlpSettings
    data: Path

    @property
    def weights(self) -> Path:
        """The folder that holds weights."""
        return self.data / "weights"


def load() -> Settings:
    """Read the settings of this process.

    Raises SetupFailed with one line that names the variable, what is wrong, and the remedy.
    """
    try:
        settings = Settings(
            database=DatabaseSettings(),  # type: ignore[call-arg]  # filled from the environment
            broker=BrokerSettings(),  # type: ignore[call-arg]
            storage=StorageSettings(),  # type: ignore[call-arg]
            engine=EngineSettings(),
            keep=KeepSettings(),
            outbound=OutboundSettings(),
            secrets=SecretsSettings(),
            limits=LimitSettings(),
            browser=BrowserSettings(),
            removebg=RemovebgSettings(),
            live=LiveSettings(),
            otlp=OtlpSettings(),
            data=places.data_folder(),
        )
    except ValidationError as error:
        raise SetupFailed(_told(error)) from None  # the original would show secrets
    if settings.engine.heartbeat_seconds * 2 > settings.engine.lease_seconds:
        raise SetupFailed(
            "SMART_FILTER_HEARTBEAT_SECONDS must be at most half of SMART_FILTER_LEASE_SECONDS, "
            "else one lost heartbeat loses the lease; lower it or raise the lease"
        )
    return settings


def engine() -> EngineSettings:
    """Read only the engine's settings.  Raises SetupFailed, as `load` does."""
    try:
        return EngineSettings()
    except ValidationError as error:
        raise SetupFailed(_told(error)) from None


def live() -> LiveSettings:
    """Read only those of live video.  Raises SetupFailed, as `load` does."""
    try:
        return LiveSettings()
    except ValidationError as error:
        raise SetupFailed(_told(error)) from None


def browser() -> BrowserSettings:
    """Read only what browsers may do.  Raises SetupFailed, as `load` does."""
    try:
        return BrowserSettings()
    except ValidationError as error:
        raise SetupFailed(_told(error)) from None


def database() -> DatabaseSettings:
    """Read only where rows are kept.  Raises SetupFailed, as `load` does."""
    try:
        return DatabaseSettings()  # type: ignore[call-arg]  # filled from the environment
    except ValidationError as error:
        raise SetupFailed(_told(error)) from None


def stores() -> tuple[DatabaseSettings, StorageSettings]:
    """Read only where rows and objects are kept.  Raises SetupFailed, as `load` does."""
    try:
        return (
            DatabaseSettings(),  # type: ignore[call-arg]  # filled from the environment
            StorageSettings(),  # type: ignore[call-arg]
        )
    except ValidationError as error:
        raise SetupFailed(_told(error)) from None


def _told(error: ValidationError) -> str:
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    prefix = {
        "DatabaseSettings": "SMART_FILTER_DATABASE_",
        "BrokerSettings": "SMART_FILTER_BROKER_",
        "StorageSettings": "SMART_FILTER_STORAGE_",
        "KeepSettings": "SMART_FILTER_KEEP_",
        "OutboundSettings": "SMART_FILTER_OUTBOUND_",
        "SecretsSettings": "SMART_FILTER_SECRETS_",
        "LimitSettings": "SMART_FILTER_LIMIT_",
        "RemovebgSettings": "SMART_FILTER_REMOVEBG_",
        "LiveSettings": "SMART_FILTER_LIVE_",
        "OtlpSettings": "SMART_FILTER_OTLP_",
    }.get(error.title, "SMART_FILTER_")
    variable = prefix + "_".join(str(part) for part in first["loc"]).upper()
    if first["type"] == "missing":
        return f"{variable} is not set; set it, or use `smart-filter up`, which brings servers"
    return f"{variable}: {first['msg'][0].lower()}{first['msg'][1:]}; correct its value"
