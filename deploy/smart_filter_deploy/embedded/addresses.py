"""Where the servers of a running stack are, and how a process is told."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """The three servers.

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
        """The settings that name these servers, as environment variables."""
        return {
            "SMART_FILTER_DATABASE_URL": self.database_url,
            "SMART_FILTER_BROKER_URL": self.broker_url,
            "SMART_FILTER_STORAGE_URL": self.storage_url,
            "SMART_FILTER_STORAGE_ACCESS_KEY": self.storage_access_key,
            "SMART_FILTER_STORAGE_SECRET_KEY": self.storage_secret_key,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class StackAddress:
    """A stack that is up: where its API listens, its key, its process and its servers."""

    url: str
    api_key: str = field(repr=False)
    pid: int
    servers: Addresses

    @property
    def studio_url(self) -> str:
        """The page for people."""
        return f"{self.url}/"

    def studio_url_with(self, code: str) -> str:
        """The same, signed in by a code; behind the `#`, so that no log of a server has it."""
        return f"{self.studio_url}#code={code}"

    def admin_url_with(self, code: str) -> str:
        """The page that tells how the service is, signed in by the same code."""
        return f"{self.url}/admin#code={code}"
