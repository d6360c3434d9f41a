"""Check the URLs of a request that the service calls: the photo's, and the final event's."""

from typing import Final

from smart_filter_api.services.container import Services
from smart_filter_shared.errors import (
    FieldError,
    InvalidRequest,
    InvalidWebhookUrl,
    NotAvailable,
)
from smart_filter_shared.security import urls

# Detail of the problem for a webhook when the operator has set no secrets key.
WEBHOOKS_DISABLED: Final = "webhooks need the setting SMART_FILTER_SECRETS_KEY"


def check_webhook(services: Services, webhook_url: str | None) -> str | None:
    """Return the address for the final event of a job or batch in normalized form, if there is one.

    Raises InvalidWebhookUrl when it is not a URL or can never be reached, NotAvailable when the
    operator has set no secrets key.
    """
    if webhook_url is None:
        return None
    if services.secret_box is None:
        raise NotAvailable([FieldError("/webhook_url", WEBHOOKS_DISABLED)])
    return check(services, "webhook_url", webhook_url, InvalidWebhookUrl)


def check(services: Services, field: str, text: str, kind: type[InvalidRequest]) -> str:
    """Return the URL of a field in normalized form.

    Raises an error of this kind when it is not a URL, or can never be called.
    """
    try:
        url = urls.parse(text)
    except ValueError as error:
        raise kind([FieldError(f"/{field}", str(error))]) from error
    fault = services.outbound.find_fault(url)
    if fault is not None:
        raise kind([FieldError(f"/{field}", fault)])
    return str(url)
