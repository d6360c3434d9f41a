"""Settings from the environment: read once by `load`, passed on as values.

Every variable starts with SMART_FILTER_; docs/settings.md lists them.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar, get_type_hints

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from smart_filter_shared import places, setting_values
from smart_filter_shared.errors import SetupFailed
from smart_filter_shared.setting_values import Seconds

_Group = TypeVar("_Group", bound=BaseSettings)


def _of(prefix: str = "") -> SettingsConfigDict:
    # What deployments leave out they often set to nothing.
    return SettingsConfigDict(
        env_prefix=f"SMART_FILTER_{prefix}", env_ignore_empty=True, frozen=True
    )


class DatabaseSettings(BaseSettings):
    """Where the truth is kept.

    url: `postgresql+psycopg://user:password@host:port/database`.  patience_seconds: how long a
    request waits for a free connection or an answer, and how long a transaction may idle.
    """

    model_config = _of("DATABASE_")

    url: setting_values.DatabaseUrl
    patience_seconds: float = Field(default=5.0, ge=0.1, le=600)


class BrokerSettings(BaseSettings):
    """Where the doorbell rings.

    url: `redis://:password@host:port/0`.
    """

    model_config = _of("BROKER_")

    url: setting_values.BrokerUrl


class StorageSettings(BaseSettings):
    """Where bytes are kept.

    url: the S3 endpoint, `http(s)://host[:port]`.  public_url: what links handed out name
    instead of it.
    """

    model_config = _of("STORAGE_")

    url: setting_values.HttpEndpoint
    access_key: SecretStr
    secret_key: SecretStr
    public_url: setting_values.HttpEndpoint | None = Field(
        default=None, examples=["https://s3.example.com"]
    )
    bucket: setting_values.Bucket = "smart-filter"
    region: setting_values.Region = "us-east-1"


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

    model_config = _of()

    lease_seconds: Seconds = 30
    heartbeat_seconds: Seconds = 5
    sweep_seconds: Seconds = 1
    max_attempts: int = Field(default=3, ge=1, le=100)
    give_up_seconds: Seconds = 3600
    stage_seconds: Seconds = 120
    drain_seconds: float = Field(default=5, ge=0, le=24 * 3600)
    memory_mb: float | None = Field(default=None, gt=0, allow_inf_nan=False, examples=[8000])
    pools: setting_values.Capabilities = ()
    remember: bool = True
    research_weights: bool = True
    collect: bool = True
    device: Literal["auto", "cuda"] = "auto"


class KeepSettings(BaseSettings):
    """How long things are kept.

    input_seconds: photos and what stages make of them on the way; result_seconds: results.
    record_seconds: what was asked for, after the day on which it was; by default until the job is
        deleted.
    """

    model_config = _of("KEEP_")

    input_seconds: Seconds = 24 * 3600
    result_seconds: Seconds = 7 * 24 * 3600
    record_seconds: float | None = Field(
        default=None, ge=24 * 3600, le=100 * 366 * 24 * 3600, examples=[90 * 24 * 3600]
    )


class OutboundSettings(BaseSettings):
    """What addresses that others send may lead to.

    allow: hosts and networks that may be reached though they are not public, on any port.
    """

    model_config = _of("OUTBOUND_")

    allow: setting_values.Reachable = ()


class SecretsSettings(BaseSettings):
    """What secrets of others are sealed with before they are stored.

    key: one or more texts of at least 32 characters, separated by commas. The first seals, all
        open; without it there are no webhooks.
    """

    model_config = _of("SECRETS_")

    key: setting_values.Secrets = ()


class LimitSettings(BaseSettings):
    """What a tenant may do of which the table `tenants` says nothing else; 0: whatever it wants.

    jobs_in_all: how many jobs may be unfinished, whoever's they are.
    """

    model_config = _of("LIMIT_")

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

    model_config = _of()

    cors_origins: setting_values.Origins = ()
    session_idle_seconds: int = Field(default=3600, ge=60, le=30 * 24 * 3600)
    session_seconds: int = Field(default=12 * 3600, ge=60, le=30 * 24 * 3600)
    session_secure: bool = False


class RemovebgSettings(BaseSettings):
    """The interface that clients of remove.bg speak.

    seconds: how long a request waits for its picture; such clients give up after 20 s.
    """

    model_config = _of("REMOVEBG_")

    seconds: float = Field(default=18, gt=0, le=300)


class OtlpSettings(BaseSettings):
    """Where traces are told.

    url: of a collector that speaks OTLP over HTTP, `http(s)://host[:port]`; none: nowhere.
    """

    model_config = _of("OTLP_")

    url: setting_values.CollectorEndpoint | None = Field(
        default=None, examples=["http://collector:4318"]
    )


class LiveSettings(BaseSettings):
    """Live video.

    url: where clients reach a live worker, `ws(s)://host[:port]`.
    secret: one or more texts of at least 32 characters, separated by commas, the same for API
        and live workers. The first signs tokens, all read them; without it, or without url,
        there is no live video.
    connections: how many a live worker has at most; connections_each: of them of one tenant.
    """

    model_config = _of("LIVE_")

    url: setting_values.SocketEndpoint | None = Field(
        default=None, examples=["wss://live.example.com"]
    )
    secret: setting_values.Secrets = ()
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
    return Settings(
        database=_read(DatabaseSettings),
        broker=_read(BrokerSettings),
        storage=_read(StorageSettings),
        engine=engine(),
        keep=_read(KeepSettings),
        outbound=_read(OutboundSettings),
        secrets=_read(SecretsSettings),
        limits=_read(LimitSettings),
        browser=browser(),
        removebg=_read(RemovebgSettings),
        live=live(),
        otlp=_read(OtlpSettings),
        data=places.data_folder(),
    )


def ensure_readable() -> None:
    """Raise SetupFailed, as `load` does, for whatever is wrong beside where servers are."""
    engine()
    servers = {DatabaseSettings, BrokerSettings, StorageSettings}
    for group in get_type_hints(Settings).values():
        if issubclass(group, BaseSettings) and group not in servers:
            _read(group)


def engine() -> EngineSettings:
    """Read only the engine's settings.  Raises SetupFailed, as `load` does."""
    read = _read(EngineSettings)
    if read.heartbeat_seconds * 2 > read.lease_seconds:
        raise SetupFailed(
            "SMART_FILTER_HEARTBEAT_SECONDS must be at most half of SMART_FILTER_LEASE_SECONDS, "
            "else one lost heartbeat loses the lease; lower it or raise the lease"
        )
    return read


def live() -> LiveSettings:
    """Read only those of live video.  Raises SetupFailed, as `load` does."""
    return _read(LiveSettings)


def browser() -> BrowserSettings:
    """Read only what browsers may do.  Raises SetupFailed, as `load` does."""
    return _read(BrowserSettings)


def database() -> DatabaseSettings:
    """Read only where rows are kept.  Raises SetupFailed, as `load` does."""
    return _read(DatabaseSettings)


def stores() -> tuple[DatabaseSettings, StorageSettings]:
    """Read only where rows and objects are kept.  Raises SetupFailed, as `load` does."""
    return _read(DatabaseSettings), _read(StorageSettings)


def _read(group: type[_Group]) -> _Group:
    try:
        return group()
    except ValidationError as error:
        # The original would show secrets.
        raise SetupFailed(setting_values.told(group, error)) from None
