"""Check the URLs of a request that the service calls: the photo's, and the final event's."""

from smart_filter_api.services.container import Services
from smart_filter_shared.errors import FieldError, InvalidRequest
from smart_filter_shared.security import urls


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
