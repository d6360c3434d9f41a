"""Requests that are sent again: which, when, and that they act once."""

import inspect

import httpx
import pytest

from smart_filter_client import AsyncClient, Client, errors
from smart_filter_tests.clients import Asking, Script, job_answer, problem, sent_by


def methods(client: Client | AsyncClient) -> dict[str, str]:
    """Return every method with its parameters."""
    return {
        name: str(inspect.signature(method))
        for name, method in inspect.getmembers(client, callable)
        if not name.startswith("_") and name not in {"close", "aclose"}
    }


def test_both_clients_have_the_same_methods() -> None:
    blocking, awaited = methods(Client("http://a.test")), methods(AsyncClient("http://a.test"))

    assert blocking == awaited
    assert len(blocking) > 25


@pytest.mark.parametrize(
    "trouble",
    [
        httpx.ConnectError("refused"),
        httpx.ReadTimeout("slow"),
        httpx.RemoteProtocolError("cut"),
        problem(503, "unavailable"),
        problem(429, "rate_limited", Retry_After="2"),
        problem(409, "idempotency_in_progress"),
        httpx.Response(502, text="<html>Bad gateway"),
    ],
    ids=lambda one: type(one).__name__ if isinstance(one, Exception) else str(one.status_code),
)
def test_submission_is_sent_again_under_the_same_key(
    asking: Asking, trouble: httpx.Response | Exception
) -> None:
    server = Script(trouble, trouble, job_answer("queued", 202))

    job = asking(server).do("submit", b"photo", {"background": "keep"})

    [key] = {request.headers["Idempotency-Key"] for request in server.seen}
    assert (job.state, len(server.seen), bool(key)) == ("queued", 3, True)
    assert all(b"keep" in request.content for request in server.seen)


def test_two_submissions_have_two_keys(asking: Asking) -> None:
    keys = {sent_by(asking, "submit", b"photo").headers["Idempotency-Key"] for _ in range(2)}

    assert len(keys) == 2


def test_text_that_cannot_be_a_key_is_refused(asking: Asking) -> None:
    with pytest.raises(ValueError, match="Idempotency-Key"):
        asking(Script(job_answer())).do("submit", b"photo", idempotency_key="Ä\n")


def test_pauses_grow_at_most_to_their_bounds_and_are_drawn(asking: Asking) -> None:
    client = asking(Script(httpx.ConnectError("refused")))
    client.attempts = 8

    with pytest.raises(errors.ServerUnreachable):
        client.do("job", "j1")

    bounds = [0.5, 1, 2, 4, 8, 8, 8]
    assert len(client.pauses) == 7
    assert all(0 <= pause <= most for pause, most in zip(client.pauses, bounds, strict=True))
    assert len(set(client.pauses)) == 7


@pytest.mark.parametrize(
    "headers",
    [
        {"Retry_After": "7"},
        {"Date": "Fri, 01 Aug 2031 10:00:00 GMT", "Retry_After": "Fri, 01 Aug 2031 10:00:07 GMT"},
    ],
    ids=["seconds", "date"],
)
def test_request_waits_for_retry_after(asking: Asking, headers: dict[str, str]) -> None:
    client = asking(Script(problem(503, "unavailable", **headers), job_answer()))

    client.do("job", "j1")

    assert 7 <= client.pauses[0] <= 7.5


def test_long_retry_after_is_raised_instead_of_waited_for(asking: Asking) -> None:
    client = asking(Script(problem(429, "rate_limited", Retry_After="3600")))

    with pytest.raises(errors.TryLater) as raised:
        client.do("job", "j1")

    assert (raised.value.retry_after, client.pauses) == (3600, [])


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "malformed_request", errors.InvalidRequest),
        (401, "unauthorized", errors.Unauthorized),
        (403, "scope", errors.Forbidden),
        (404, "not_found", errors.NotFound),
        (409, "job_final", errors.Conflict),
        (410, "job_deleted", errors.Gone),
        (413, "photo_too_large", errors.PhotoRefused),
        (500, "internal", errors.ServerFailed),
        (418, "from_the_future", errors.InvalidRequest),
    ],
)
def test_problem_is_raised_by_its_family_at_once(
    asking: Asking, status: int, code: str, kind: type[errors.Refused]
) -> None:
    server = Script(problem(status, code, X_Request_Id="r-1"))

    with pytest.raises(kind) as raised:
        asking(server).do("submit", b"photo")

    assert (raised.value.code, raised.value.status) == (code, status)
    assert (raised.value.detail, raised.value.request_id) == ("not now", "r-1")
    assert len(server.seen) == 1


def test_deletion_whose_answer_was_lost_succeeds(asking: Asking) -> None:
    server = Script(httpx.ReadError("cut"), problem(404, "not_found"))

    asking(server).do("delete_webhook", "w1")

    assert [request.method for request in server.seen] == ["DELETE", "DELETE"]
