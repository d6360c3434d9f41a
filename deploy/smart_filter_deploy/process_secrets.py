"""The kinds of processes, and the secrets that each needs.

`up`, the compose file and the chart give each process these and no others: a process that a
picture or a client takes over then holds nothing of the others.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from smart_filter_shared.db.process_roles import ProcessRole


class Process(StrEnum):
    """A kind of process.

    COMPOSITE_WORKER: a worker that runs the stage `composite`, and signs what it makes.
    PREPARE: creates and upgrades tables and the bucket.
    """

    API = "api"
    SENDER = "sender"
    WORKER = "worker"
    COMPOSITE_WORKER = "composite worker"
    LIVE = "live"
    PREPARE = "prepare"

    @property
    def database_role(self) -> ProcessRole | None:
        """The role as which the process uses the database; None: the owner of the tables."""
        return _ROLES.get(self)


_ROLES: Final[Mapping[Process, ProcessRole]] = MappingProxyType(
    {
        Process.API: ProcessRole.API,
        Process.SENDER: ProcessRole.SENDER,
        Process.WORKER: ProcessRole.WORKER,
        Process.COMPOSITE_WORKER: ProcessRole.WORKER,
    }
)
_WORKERS: Final = frozenset({Process.WORKER, Process.COMPOSITE_WORKER})
_STORES: Final = _WORKERS | {Process.API, Process.PREPARE}
_API: Final = frozenset({Process.API})
# The processes that need a variable. Variables without an entry hold no secret.
NEEDED_BY: Final[Mapping[str, frozenset[Process]]] = MappingProxyType(
    {
        "SMART_FILTER_DATABASE_URL": _STORES | {Process.SENDER},
        "SMART_FILTER_BROKER_URL": _STORES | {Process.SENDER},
        "SMART_FILTER_STORAGE_ACCESS_KEY": _STORES,
        "SMART_FILTER_STORAGE_SECRET_KEY": _STORES,
        "SMART_FILTER_STORAGE_UPLOAD_ACCESS_KEY": _API,
        "SMART_FILTER_STORAGE_UPLOAD_SECRET_KEY": _API,
        "SMART_FILTER_SECRETS_KEY": _API | {Process.SENDER},
        "SMART_FILTER_LIVE_SECRET": _API | {Process.LIVE},
        # The API refuses `provenance=c2pa` without one, and checks that it is valid.
        "SMART_FILTER_C2PA_CERTIFICATE": _API | {Process.COMPOSITE_WORKER},
        "SMART_FILTER_C2PA_KEY": frozenset({Process.COMPOSITE_WORKER}),
        # No secret, but settings with an issuer are valid only with the key of secrets.
        "SMART_FILTER_OIDC_ISSUER": _API,
        "SMART_FILTER_OIDC_CLIENT_SECRET": _API,
        "SMART_FILTER_S3_ACCESS_KEY": _API,
        "SMART_FILTER_S3_SECRET_KEY": _API,
        # Of the operator, for commands that are clients of a server.
        "SMART_FILTER_API_KEY": frozenset(),
    }
)


def select_variables(environment: Mapping[str, str], process: Process) -> dict[str, str]:
    """Return the variables of an environment without those that a process does not need."""
    # Settings are read without regard to case.
    return {
        name: value
        for name, value in environment.items()
        if process in NEEDED_BY.get(name.upper(), {process})
    }
