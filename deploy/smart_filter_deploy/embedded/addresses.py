"""Addresses of a running stack's servers, and the environment that passes them to a process."""

import hashlib
import hmac
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from smart_filter_shared.db.process_roles import ProcessRole


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """The addresses of the servers, and of the objects.

    database_url: `postgresql+psycopg://…`, the database `smart_filter`, as the owner of its tables.
    broker_url: `redis://:PASSWORD@127.0.0.1:PORT/0`; `none` without a broker.
    storage_url: `file://` and the folder of the objects.
    """

    database_url: str = field(repr=False)
    broker_url: str = field(repr=False)
    storage_url: str

    def environment(self, role: ProcessRole | None = None) -> dict[str, str]:
        """Return the settings of these servers as environment variables.

        role: the database role to use; None: the owner of the tables.
        """
        url = self.database_url if role is None else url_of_role(self.database_url, role)
        return {
            "SMART_FILTER_DATABASE_URL": url,
            "SMART_FILTER_BROKER_URL": self.broker_url,
            "SMART_FILTER_STORAGE_URL": self.storage_url,
        }


def url_of_role(owner_url: str, role: ProcessRole) -> str:
    """Return the URL of the same database for the role of a process.

    owner_url: of the owner of the tables on an embedded server, with its password.
    """
    url = urlsplit(owner_url)
    password = password_of_role(str(url.password), role)
    return url._replace(netloc=f"{role}:{password}@{url.hostname}:{url.port}").geturl()


def password_of_role(owner_password: str, role: ProcessRole) -> str:
    """Return the role's password, which the owner's yields and which does not yield the owner's."""
    return hmac.digest(owner_password.encode(), role.encode(), hashlib.sha256).hex()


@dataclass(frozen=True, slots=True, kw_only=True)
class StackAddress:
    """A running stack: the URL and key of its API, its process id and its servers.

    operators_url: its operators' port.  https_url: where it serves https.  None: nowhere.
    """

    url: str
    api_key: str = field(repr=False)
    pid: int
    servers: Addresses
    operators_url: str | None = None
    https_url: str | None = None

    @property
    def studio_url(self) -> str:
        """The URL of the studio."""
        return f"{self.url}/"

    def studio_url_for_code(self, code: str) -> str:
        """Return the studio's URL with a sign-in code, after `#` so that no server log has it."""
        return f"{self.studio_url}#code={code}"
