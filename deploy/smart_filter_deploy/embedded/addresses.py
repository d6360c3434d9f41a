"""Addresses of a stack's servers: free ports, and the environment that passes them to a process."""

import hashlib
import hmac
import http.client
import secrets
import socket
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from smart_filter_shared.db.process_roles import ProcessRole
from smart_filter_shared.errors import SetupFailed

LOOPBACK = "127.0.0.1"

# Below the kernel's range for outgoing connections (by default from 32768): a server that restarts
# finds its port still free, and a client that keeps trying to connect cannot connect to itself by
# chance.
_FIRST_PORT = 15_000
_LAST_PORT = 32_000
_MAX_TRIES = 200
_RESPONSE_TIMEOUT_SECONDS = 1.0


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


def free_port() -> int:
    """Return a random free port on 127.0.0.1, and claim it until this process ends.

    The server starts to listen later, PostgreSQL only after it has created its data. The claim
    keeps another process from choosing the same port meanwhile.

    Raises SetupFailed when no port is free, which means that loopback does not work at all.
    """
    for _ in range(_MAX_TRIES):
        port = _FIRST_PORT + secrets.randbelow(_LAST_PORT - _FIRST_PORT)
        if find_fault(port) is None and claim_port(port):
            return port
    raise SetupFailed(f"no free port on {LOOPBACK}: is the loopback interface up?")


def find_fault(port: int, host: str = LOOPBACK) -> str | None:
    """Return why a server cannot listen on this port of an IPv4 address; None when it can."""
    with socket.socket() as probe:
        # Like the servers do: a port with only closed connections counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return error.strerror or str(error)
    return None


def http_status(port: int, path: str) -> int | None:
    """Return the status that a server on 127.0.0.1 answers; None while it does not answer."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=_RESPONSE_TIMEOUT_SECONDS)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def accepts_connections(host: str, port: int) -> bool:
    """Return whether a server accepts connections to this IPv4 address; 0.0.0.0 is any."""
    try:
        with socket.create_connection((host, port), _RESPONSE_TIMEOUT_SECONDS):
            return True
    except OSError:
        return False


def claim_port(port: int) -> bool:
    """Claim a port among the processes of this service until this one ends.

    Return False when another has claimed it.
    """
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        # An abstract socket name: without a file, in the port's network namespace, and released
        # with its socket. Source: unix(7).
        claim.bind(f"\0smart-filter-port-{port}")
    except OSError:
        claim.close()
        return False
    claim.detach()  # left open, so that the end of the process ends the claim
    return True
