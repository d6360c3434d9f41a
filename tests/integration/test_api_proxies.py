"""The addresses of clients behind a proxy."""

import httpx
import pytest

from smart_filter_api.auth.api_keys import Scope
from smart_filter_tests.serving import Api, serve_with


def sign_in(url: str, client: str, secret: str) -> int:
    headers = {"X-Forwarded-For": client}
    answer = httpx.post(f"{url}/v1/session", json={"key": secret}, headers=headers, timeout=60)
    return answer.status_code


def use_up_failures(url: str, client: str) -> None:
    while sign_in(url, client, "guess") == 401:
        pass


@pytest.mark.parametrize(("trusted", "others_status"), [("127.0.0.0/8", 201), ("192.0.2.1", 429)])
def test_clients_of_a_trusted_proxy_do_not_share_a_limit(
    api: Api, trusted: str, others_status: int
) -> None:
    key = api.key(Scope.READ)
    # The clock stands still, so that no bucket fills while the test runs.
    with serve_with(api.bench, clock=lambda: 0.0, SMART_FILTER_TRUSTED_PROXIES=trusted) as site:
        use_up_failures(site.url, "203.0.113.1")

        statuses = {
            sign_in(site.url, client, secret)
            for client, secret in (("203.0.113.2", key), ("2001:db8::1", api.key(Scope.READ)))
        }

    assert statuses == {others_status}
