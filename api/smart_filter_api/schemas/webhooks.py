"""Request models of webhooks."""

from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from smart_filter_shared.security import urls


def _validate_url(text: str) -> str:
    return str(urls.parse(text))


def _refuse_duplicates(events: list[str]) -> list[str]:
    return list(dict.fromkeys(events))


WebhookEvent = Literal["job.succeeded", "job.failed", "job.canceled", "batch.finished"]
Address = Annotated[str, Field(max_length=urls.MAX_CHARACTERS), AfterValidator(_validate_url)]
Events = Annotated[
    list[WebhookEvent], Field(min_length=1, max_length=16), AfterValidator(_refuse_duplicates)
]


class WebhookRequest(BaseModel):
    """A request for a webhook."""

    model_config = ConfigDict(extra="forbid", strict=True)

    url: Address = Field(
        description="An http or https URL on the public internet, or allowed by the operator",
        json_schema_extra={"format": "uri"},
        min_length=1,
    )
    events: Events | None = Field(default=None, description="All by default")

    @property
    def wanted_events(self) -> list[str]:
        """The events that are sent to the webhook."""
        return list(get_args(WebhookEvent)) if self.events is None else list(self.events)


class WebhookChange(BaseModel):
    """Changes to a webhook; null and omitted fields stay.  enabled: whether events are sent."""

    model_config = ConfigDict(extra="forbid", strict=True)

    url: Address | None = None
    events: Events | None = None
    enabled: bool | None = None
