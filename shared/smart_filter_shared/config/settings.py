"""Settings from the environment; `load` reads them once and callers pass them on as values.

Every variable starts with SMART_FILTER_; docs/settings.md lists them.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar, get_type_hints
from urllib.parse import unquote

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from smart_filter_shared.config import paths, values
from smart_filter_shared.config.values import Seconds
from smart_filter_shared.errors import SetupFailed

_Group = TypeVar("_Group", bound=BaseSettings)


def _config(prefix: str = "") -> SettingsConfigDict:
    # Deployments often set a variable to an empty text to leave it out.
    return SettingsConfigDict(
        env_prefix=f"SMART_FILTER_{prefix}", env_ignore_empty=True, frozen=True
    )


class DatabaseSettings(BaseSettings):
    """Connection to the database.

    url: `postgresql+psycopg://user:password@host:port/database`.  patience_seconds: how long a
    request waits for a free connection or an answer, and how long a transaction may idle.
    """

    model_config = _config("DATABASE_")

    url: values.DatabaseUrl
    patience_seconds: float = Field(default=5.0, ge=0.1, le=600)


class BrokerSettings(BaseSettings):
    """Connection to the broker, which carries the doorbell's rings.

    url: `redis://:password@host:port/0`; `none`, which is read as None: there is no broker, and
        workers find work by polling the database alone.
    stage_events: whether workers send Celery's task events for each stage, for Flower.
    """

    model_config = _config("BROKER_")

    url: values.BrokerUrl
    stage_events: bool = False

    @property
    def address(self) -> str:
        """The URL with its password; empty without a broker."""
        return _reveal(self.url)


class StorageSettings(BaseSettings):
    """Connection to the object store.

    url: the S3 endpoint, `http(s)://host[:port]`, or `file://` and the path of a folder that all
    processes share; then no other setting is used but bucket.
    access_key, secret_key: credentials of the S3 endpoint.
    public_url: the endpoint in presigned URLs; None: `url`.
    upload_access_key, upload_secret_key: credentials that sign the links that clients put photos
        to; None: the service's.
    """

    model_config = _config("STORAGE_")

    url: values.StorageUrl
    access_key: SecretStr | None = None
    secret_key: SecretStr | None = None
    public_url: values.HttpEndpoint | None = Field(
        default=None, examples=["https://s3.example.com"]
    )
    bucket: values.Bucket = "smart-filter"
    region: values.Region = "us-east-1"
    upload_access_key: SecretStr | None = None
    upload_secret_key: SecretStr | None = None

    @property
    def variables(self) -> str:
        """The beginning of the names of the variables, as messages name them."""
        return "SMART_FILTER_STORAGE"

    @property
    def folder(self) -> Path | None:
        """The folder that holds the bucket; None for an S3 endpoint."""
        path = self.url.removeprefix("file://")
        return None if path == self.url else Path(unquote(path))

    @property
    def keys(self) -> tuple[str, str]:
        """The access key and the secret key of the S3 endpoint."""
        return _reveal(self.access_key), _reveal(self.secret_key)

    @property
    def upload_keys(self) -> tuple[str, str]:
        """The access key and the secret key that sign upload links."""
        access = self.upload_access_key or self.access_key
        secret = self.upload_secret_key or self.secret_key
        return _reveal(access), _reveal(secret)


class EngineSettings(BaseSettings):
    """Timeouts of the engine, and what its workers run.

    lease_seconds: a worker that sends no heartbeat for this long loses its stages.
    heartbeat_seconds: interval of a worker's heartbeats.
    sweep_seconds: interval of the sweeps for expired leases, due retries and lost messages.
    max_attempts: how often a stage may raise or lose its worker.
    give_up_seconds: how long a stage waits for infrastructure before its job fails.
    stage_seconds: how long one run of a stage may take before its process is killed.
    drain_seconds: how long a stopping worker has to finish its running stages.
    memory_mb: above this memory use, a worker unloads its least recently used models; the default
        is four fifths of the memory of the machine or container.
    pools: capabilities such as `segmentation.detectron2` that count as served although no worker
        of theirs was seen yet: jobs for them are accepted and wait.
    remember: whether the artifacts of a photo serve its tenant's later submissions of it (the
        result cache).
    research_weights: whether models run whose weights were trained on data for research only, or
        on data of unknown terms.
    emotions: whether emotions are read in faces; a tenant can turn them off for itself.
    collect: whether workers make training examples of corrections with consent.
    device: `cuda`: models that can use a GPU do not run without one; `auto`: they run on the best
        device of the machine.
    """

    model_config = _config()

    lease_seconds: Seconds = 30
    heartbeat_seconds: Seconds = 5
    sweep_seconds: Seconds = 1
    max_attempts: int = Field(default=3, ge=1, le=100)
    give_up_seconds: Seconds = 3600
    stage_seconds: Seconds = 120
    drain_seconds: float = Field(default=5, ge=0, le=24 * 3600)
    memory_mb: float | None = Field(default=None, gt=0, allow_inf_nan=False, examples=[8000])
    pools: values.Capabilities = ()
    remember: bool = True
    research_weights: bool = True
    emotions: bool = True
    collect: bool = True
    device: Literal["auto", "cuda"] = "auto"


class RetentionSettings(BaseSettings):
    """Retention times.

    input_seconds: of photos and intermediate artifacts.  result_seconds: of results.
    record_seconds: of the rows of jobs, after the end of the job; 0: for ever.
    audit_seconds: of the security log.
    """

    model_config = _config("KEEP_")

    input_seconds: Seconds = 24 * 3600
    result_seconds: Seconds = 7 * 24 * 3600
    record_seconds: values.RecordSeconds = 30 * 24 * 3600
    audit_seconds: float = Field(
        default=365 * 24 * 3600, ge=30 * 24 * 3600, le=100 * 366 * 24 * 3600
    )


class OutboundSettings(BaseSettings):
    """Targets of URLs that clients send.

    allow: hosts and networks that may be reached on any port although they are not public.
    """

    model_config = _config("OUTBOUND_")

    allow: values.HostsAndNetworks = ()


class SecretsSettings(BaseSettings):
    """Keys that encrypt stored secrets of tenants and sign links to outputs.

    key: one or more texts of at least 32 characters, separated by commas. The first encrypts and
        signs, all decrypt and verify. Without a key there are no webhooks and no signed links.
    """

    model_config = _config("SECRETS_")

    key: values.Secrets = ()


class LimitSettings(BaseSettings):
    """Default quotas of a tenant, which its row in `tenants` can override; 0: no limit.

    stored_bytes: of photos, uploads, intermediates, results and own pictures that are stored.
    pictures: own backgrounds and logos; each has at most 40 MB.
    deliveries_waiting: webhook deliveries that have not ended, and those that unfinished jobs will
        cause; a hundred thousand take about 60 MB of the database.
    jobs_in_all: limit of unfinished jobs of all tenants together.
    body_megabytes: of bodies that one API process receives at a time, half of them of one tenant;
        it holds them in memory and its temporary folder.
    """

    model_config = _config("LIMIT_")

    requests_per_minute: int = Field(default=6000, ge=0, le=10_000_000)
    jobs_waiting: int = Field(default=10_000, ge=0, le=10_000_000)
    megapixels_per_day: float = Field(default=0, ge=0, allow_inf_nan=False)
    stored_bytes: int = Field(default=0, ge=0, le=10**15)
    pictures: int = Field(default=100, ge=0, le=10_000)
    deliveries_waiting: int = Field(default=100_000, ge=0, le=10_000_000)
    jobs_in_all: int = Field(default=100_000, ge=0, le=10_000_000)
    body_megabytes: int = Field(default=400, ge=170, le=1_000_000)


class LinkSettings(BaseSettings):
    """Where the API is reached, and signed links to outputs.

    public_url: where clients reach the API, `http(s)://host[:port]`; None: links have the host of
        the request that asks for them if it is of the local network, else none, as in webhooks.
    operators_url: where operators' browsers reach its operators' port, for a sign-in there at an
        OpenID Connect provider; None: none there.
    link_seconds: lifetime of links for jobs without their own.
    """

    model_config = _config()

    public_url: values.HttpEndpoint | None = Field(
        default=None, examples=["https://photos.example.com"]
    )
    operators_url: values.HttpEndpoint | None = Field(
        default=None, examples=["https://operators.example.com"]
    )
    link_seconds: int = Field(default=3600, ge=60, le=7 * 24 * 3600)


class BrowserSettings(BaseSettings):
    """CORS and sessions of browsers.

    cors_origins: origins whose pages may call the API with a key of their own, such as
        `https://app.example.com`; `*`: any.
    session_idle_seconds: a session ends after this time without use.  session_seconds: lifetime
        of a session even when it is used.
    session_secure: whether cookies are for https only although requests arrive by http, as behind
        a proxy that terminates TLS.
    trusted_proxies: addresses and networks whose `X-Forwarded-For` and `X-Forwarded-Proto` are
        believed; empty: from FORWARDED_ALLOW_IPS, uvicorn's own variable.
    """

    model_config = _config()

    cors_origins: values.Origins = ()
    session_idle_seconds: int = Field(default=3600, ge=60, le=30 * 24 * 3600)
    session_seconds: int = Field(default=12 * 3600, ge=60, le=30 * 24 * 3600)
    session_secure: bool = False
    trusted_proxies: values.Networks = ()


class OidcSettings(BaseSettings):
    """The OpenID Connect provider at which persons sign in to the pages; without issuer, none.

    issuer: its URL, as its discovery document names it.  client_id, client_secret: of this
        service; without a secret it is a public client.
    scopes: OAuth scopes besides `openid`, separated by spaces.
    groups_claim: the claim of the ID token that lists a person's groups.
    groups: the tenant and the scopes of each group; others cannot sign in.
    label: the provider's name on the sign-in page.
    """

    model_config = _config("OIDC_")

    issuer: values.IssuerUrl | None = None
    client_id: str | None = Field(default=None, max_length=1000, examples=["smart-filter"])
    client_secret: SecretStr | None = None
    scopes: str = Field(default="openid", max_length=1000)
    groups_claim: str = Field(default="groups", max_length=200)
    groups: values.GroupGrants = ()
    label: str = Field(default="single sign-on", max_length=60)


class RemovebgSettings(BaseSettings):
    """The endpoint that is compatible with remove.bg.

    seconds: how long a request waits for its picture; clients of remove.bg give up after 20 s.
    """

    model_config = _config("REMOVEBG_")

    seconds: float = Field(default=18, gt=0, le=300)


class _S3Server(StorageSettings):
    """Connection to the server of S3 folders."""

    @property
    def variables(self) -> str:
        return "SMART_FILTER_S3"


class S3FolderSettings(BaseSettings):
    """S3 folders: photos that are put under a prefix become jobs, and results go to another.

    folders: tenant, source, target and recipe of each.
    url, access_key, secret_key, region: of their server; None: the service's own storage.
    sweep_seconds: pause between two searches for objects whose events were lost.
    """

    model_config = _config("S3_")

    folders: values.S3Folders = ()
    url: values.HttpEndpoint | None = None
    access_key: SecretStr | None = None
    secret_key: SecretStr | None = None
    region: values.Region | None = Field(default=None, examples=["eu-west-1"])
    sweep_seconds: Seconds = 300

    def server(self, storage: StorageSettings) -> StorageSettings:
        """Return the settings of the folders' server; its bucket has no meaning.

        Raises SetupFailed for a part of a server, and when the service stores in a folder.
        """
        given = (self.url, self.access_key, self.secret_key)
        # The keys of the service's storage must not be sent to another server.
        if None in given and given != (None, None, None):
            raise SetupFailed(
                "SMART_FILTER_S3_URL, SMART_FILTER_S3_ACCESS_KEY and SMART_FILTER_S3_SECRET_KEY"
                " belong together; set all, or none to use the service's own storage"
            )
        if self.url is None and storage.folder is not None:
            raise SetupFailed(
                "SMART_FILTER_S3_FOLDERS needs SMART_FILTER_S3_URL, since the service stores in a"
                " folder; set it to the endpoint of an S3 server, with its keys"
            )
        server = {
            "url": self.url or storage.url,
            "access_key": self.access_key or storage.access_key,
            "secret_key": self.secret_key or storage.secret_key,
            "region": self.region or storage.region,
        }
        return _S3Server.model_construct(**{**vars(storage), "public_url": None, **server})


class ProvenanceSettings(BaseSettings):
    """The signature of Content Credentials; without a certificate no recipe can ask for them.

    certificate: the signing certificate and its chain, in PEM; API and workers.
    key: its private key, in PEM, without a password; workers only.
    """

    model_config = _config("C2PA_")

    certificate: values.CertificateChain | None = None
    key: values.PrivateKey | None = None


class OtlpSettings(BaseSettings):
    """Export of traces.

    url: a collector that speaks OTLP over HTTP, `http(s)://host[:port]`; None: no traces.
    """

    model_config = _config("OTLP_")

    url: values.CollectorEndpoint | None = Field(default=None, examples=["http://collector:4318"])


class LiveSettings(BaseSettings):
    """Live video.

    url: where clients reach a live worker, `ws(s)://host[:port]`.
    secret: one or more texts of at least 32 characters, separated by commas, the same for API
        and live workers. The first signs tokens, all verify them. Without it, or without url,
        there is no live video.
    connections: limit of connections of a live worker.  connections_each: limit for one tenant.
    """

    model_config = _config("LIVE_")

    url: values.SocketEndpoint | None = Field(default=None, examples=["wss://live.example.com"])
    secret: values.Secrets = ()
    connections: int = Field(default=8, ge=1, le=1000)
    connections_each: int = Field(default=4, ge=1, le=1000)


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of a server process."""

    database: DatabaseSettings
    broker: BrokerSettings
    storage: StorageSettings
    engine: EngineSettings
    keep: RetentionSettings
    outbound: OutboundSettings
    secrets: SecretsSettings
    limits: LimitSettings
    browser: BrowserSettings
    oidc: OidcSettings
    links: LinkSettings
    removebg: RemovebgSettings
    s3_folders: S3FolderSettings
    live: LiveSettings
    provenance: ProvenanceSettings
    otlp: OtlpSettings
    data: Path

    @property
    def weights(self) -> Path:
        """The folder that holds weights."""
        return self.data / "weights"


def _reveal(secret: SecretStr | None) -> str:
    return "" if secret is None else secret.get_secret_value()


def load(*, uses_storage: bool = True) -> Settings:
    """Read the settings of this process.

    uses_storage: whether the object store's keys must be set.
    Raises SetupFailed with one line that names the variable, what is wrong, and the remedy.
    """
    links, secrets = _load_group(LinkSettings), _load_group(SecretsSettings)
    return Settings(
        database=_load_group(DatabaseSettings),
        broker=_load_group(BrokerSettings),
        storage=_load_storage() if uses_storage else _load_group(StorageSettings),
        engine=load_engine(),
        keep=_load_group(RetentionSettings),
        outbound=_load_group(OutboundSettings),
        secrets=secrets,
        limits=_load_group(LimitSettings),
        browser=load_browser(),
        oidc=_load_oidc(links, secrets),
        links=links,
        removebg=_load_group(RemovebgSettings),
        s3_folders=load_s3_folders(),
        live=load_live(),
        provenance=load_provenance(),
        otlp=_load_group(OtlpSettings),
        data=paths.data_folder(),
    )


def variable_names(*groups: type[BaseSettings]) -> frozenset[str]:
    """Return the names of the variables that groups of settings are read from, in upper case."""
    return frozenset(
        f"{group.model_config.get('env_prefix', '')}{field}".upper()
        for group in groups
        for field in group.model_fields
    )


def ensure_readable() -> None:
    """Raise SetupFailed, as `load` does, unless all settings except the servers' are valid."""
    load_engine()
    servers = {DatabaseSettings, BrokerSettings, StorageSettings}
    for group in get_type_hints(Settings).values():
        if issubclass(group, BaseSettings) and group not in servers:
            _load_group(group)


def load_s3_folders() -> S3FolderSettings:
    """Read only the settings of S3 folders.  Raises SetupFailed, as `load` does."""
    return _load_group(S3FolderSettings)


def load_engine() -> EngineSettings:
    """Read only the engine's settings.  Raises SetupFailed, as `load` does."""
    read = _load_group(EngineSettings)
    if read.heartbeat_seconds * 2 > read.lease_seconds:
        raise SetupFailed(
            "SMART_FILTER_HEARTBEAT_SECONDS must be at most half of SMART_FILTER_LEASE_SECONDS, "
            "else one lost heartbeat loses the lease; lower it or raise the lease"
        )
    return read


def load_live() -> LiveSettings:
    """Read only the settings of live video.  Raises SetupFailed, as `load` does."""
    return _load_group(LiveSettings)


def load_provenance() -> ProvenanceSettings:
    """Read only the settings of Content Credentials.  Raises SetupFailed, as `load` does."""
    return _load_group(ProvenanceSettings)


def load_browser() -> BrowserSettings:
    """Read only the browser settings.  Raises SetupFailed, as `load` does."""
    return _load_group(BrowserSettings)


def _load_storage() -> StorageSettings:
    read = _load_group(StorageSettings)
    for name, key in (("ACCESS_KEY", read.access_key), ("SECRET_KEY", read.secret_key)):
        if read.folder is None and key is None:
            raise SetupFailed(f"SMART_FILTER_STORAGE_{name} is not set; set it, {values.OR_UP}")
    names = ("ACCESS_KEY", "SECRET_KEY")
    keys = (read.upload_access_key, read.upload_secret_key)
    for given, missing in (names, names[::-1]):
        if keys[names.index(given)] is not None and keys[names.index(missing)] is None:
            raise SetupFailed(
                f"SMART_FILTER_STORAGE_UPLOAD_{given} needs SMART_FILTER_STORAGE_UPLOAD_{missing};"
                " set it, or leave both out"
            )
    return read


def _load_oidc(links: LinkSettings, secrets: SecretsSettings) -> OidcSettings:
    read = _load_group(OidcSettings)
    if read.issuer is not None:
        needed = {
            "OIDC_CLIENT_ID": read.client_id,
            "OIDC_GROUPS": read.groups,
            "PUBLIC_URL": links.public_url,
            "SECRETS_KEY": secrets.key,
        }
        for name, value in needed.items():
            if not value:
                raise SetupFailed(
                    f"SMART_FILTER_OIDC_ISSUER needs SMART_FILTER_{name}; set it, or leave the"
                    " issuer out"
                )
    return read


def load_database() -> DatabaseSettings:
    """Read only the database settings.  Raises SetupFailed, as `load` does."""
    return _load_group(DatabaseSettings)


def load_backends() -> tuple[DatabaseSettings, StorageSettings]:
    """Read only the settings of database and object store.  Raises SetupFailed, as `load` does."""
    return _load_group(DatabaseSettings), _load_storage()


def _load_group(group: type[_Group]) -> _Group:
    try:
        return group()
    except ValidationError as error:
        # The original error would show secrets.
        raise SetupFailed(values.describe_error(group, error)) from None
