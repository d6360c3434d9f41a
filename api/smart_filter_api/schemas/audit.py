"""Response models of the security log."""

import uuid

from pydantic import BaseModel, Field

from smart_filter_api.schemas.moments import UtcDatetime
from smart_filter_shared.tenants.audit_log import AuditEvent


class AuditRecord(BaseModel):
    """One event of the security log."""

    at: UtcDatetime
    event: AuditEvent | str = Field(description="Other text: an event of another version")
    key_id: uuid.UUID | None = Field(description="Key of the request; null: unknown, or none")
    network: str | None = Field(
        description="IPv4 address or IPv6 network of the client; null for the command line, and "
        "for refused requests of further networks"
    )
    subject: str | None = Field(description="Key, webhook or tenant that the event is about")
    count: int = Field(description="Refused requests of a minute that the event stands for")


class AuditPage(BaseModel):
    """A page of the security log."""

    items: list[AuditRecord]
    next_cursor: str | None
