"""Addresses of a running stack's servers, and the environment that passes them to a process."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """The addresses of the three servers.

    database_url: `postgresql+psycopg://…`, the database `smart_filter`.
    broker_url: `redis://:PASSWORD@127.0.0.1:PORT/0`.
    storage_url: `http://127.0.0.1:PORT`, an S3 endpoint, with its access key and secret key.
    """

    database_url: str = field(repr=False)
    broker_url: str = field(repr=False)
    storage_url: str
    storage_access_key: str
    storage_secret_key: str = field(repr=False)

    def environment(self) -> dict[str, str]:
        """Return the settings of these servers as environment variables."""
        return {
            "SMART_FILTER_DATABASE_URL": self.database_url,
            "SMART_FILTER_BROKER_URL": self.broker_url,
            "SMART_FILTER_STORAGE_URL": self.storage_url,
            "SMART_FILTER_STORAGE_ACCESS_KEY": self.storage_access_key,
            "SMART_FILTER_STORAGE_SECRET_KEY": self.storage_secret_key,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class StackAddress:
    """A running stack: the URL and key of its API, its process id and its servers.

    https_url: where it serves https; None: nowhere.
    """

    url: str
    api_key: str = field(repr=False)
    pid: int
    servers: Addresses
    https_url: str | None = None

    @property
    def studio_url(self) -> str:
        """The URL of the studio."""
        return f"{self.url}/"

    def studio_url_for_code(self, code: str) -> str:
        """Return the studio's URL with a sign-in code, after `#` so that no server log has it."""
        return f"{self.studio_url}#code={code}"

    @property
    def admin_url(self) -> str:
        """The URL of the admin page."""
        return f"{self.url}/admin"
