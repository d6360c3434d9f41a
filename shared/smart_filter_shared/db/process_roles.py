"""Names of the database roles; apart from their rights, so that clients import no database."""

from enum import StrEnum


class ProcessRole(StrEnum):
    """The database role of a kind of process."""

    API = "smart_filter_api"
    WORKER = "smart_filter_worker"
    SENDER = "smart_filter_sender"
