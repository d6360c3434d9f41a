"""What the API lets clients in to live video by."""

import datetime as dt

import pytest
from pydantic import SecretStr

from smart_filter_shared.live.tokens import Admission, Tokens
from smart_filter_tests.bench import TENANT, Bench
from smart_filter_tests.serving import Api, an_api, served_as


def read(api: Api, token: str) -> Admission:
    keys = [SecretStr.get_secret_value(key) for key in api.bench.settings.live.secret]
    return Tokens(keys).read(token, now=dt.datetime.now(dt.UTC))


@pytest.mark.parametrize("background", ["blur:0.5", None])
def test_token_is_the_callers(api: Api, background: str | None) -> None:
    answer = api.client.post("/v1/live", json={"background": background} if background else {})

    said = answer.json()
    admission = read(api, said["token"])
    assert answer.status_code == 201
    assert said["url"] == "wss://live.example.org/v1/live/socket"
    assert (admission.tenant, admission.background) == (TENANT, background)
    assert admission.expires_at == dt.datetime.fromisoformat(said["expires_at"])


def test_answer_that_was_lost_is_given_again(api: Api) -> None:
    once = {"Idempotency-Key": "one"}

    first, second = (api.client.post("/v1/live", json={}, headers=once) for _ in range(2))

    assert first.json() == second.json()
    assert second.headers["Idempotency-Replayed"] == "true"


def test_without_the_settings_there_is_no_live_video(bench: Bench) -> None:
    with served_as(bench) as url, an_api(url, bench) as api:
        answer = api.client.post("/v1/live", json={})

    assert (answer.status_code, answer.json()["code"]) == (422, "not_available")
    assert "SMART_FILTER_LIVE_URL" in answer.json()["detail"]
