"""`smart-filter keys` and `tenants`, on the database of the environment."""

import datetime as dt
import uuid
from pathlib import Path

import httpx
import pytest

from smart_filter_api.auth.api_keys import Scope
from smart_filter_tests.commands import Command
from smart_filter_tests.serving import Api, Clock, a_photo


def status_of(api: Api, key: str, path: str = "/v1/jobs") -> int:
    return api.client.get(path, headers={"Authorization": f"Bearer {key}"}).status_code


def test_created_key_works_until_it_is_revoked(api: Api, clock: Clock, command: Command) -> None:
    created = command("keys", "create", "--tenant", "acme", "--scopes", "submit,read")
    before = status_of(api, created["key"])

    revoked = command("keys", "revoke", created["key_id"])
    clock.expire_caches()  # the API caches keys for a second

    assert (set(created), created["tenant"]) == ({"tenant", "key_id", "key"}, "acme")
    assert revoked == {"revoked": [created["key_id"]], "unknown": []}
    assert (before, status_of(api, created["key"])) == (200, 401)


def test_key_is_shown_once_alone_on_its_line_and_listed_with_its_dates(command: Command) -> None:
    words = ("--tenant", "acme", "--scopes", "read", "--expires", "30d")
    key = command.output("keys", "create", *words).splitlines()[0]

    (listed,) = command("keys", "list", "--tenant", "acme")["items"]

    assert key.startswith("sf_live_")
    assert key not in command.output("keys", "list")
    assert "acme" in command.output("keys", "list")
    created, expires = (
        dt.datetime.fromisoformat(listed[name]) for name in ("created_at", "expires_at")
    )
    assert expires - created == dt.timedelta(days=30)
    assert listed["scopes"] == ["read"]


@pytest.mark.parametrize(
    "wrong",
    [
        ("--tenant", "acme", "--scopes", "root"),
        ("--tenant", "acme", "--scopes", ","),
        ("--tenant", "../acme", "--scopes", "read"),
        ("--tenant", "acme", "--scopes", "read", "--expires", "soon"),
        ("--tenant", "acme", "--scopes", "read", "--expires", "0d"),
        ("--tenant", "acme", "--scopes", "read", "--expires", "999999999999d"),
    ],
)
def test_wrong_key_is_wrong_usage(command: Command, wrong: tuple[str, ...]) -> None:
    assert command.status("keys", "create", *wrong) == 2
    assert "acme" not in command.output("keys", "list")


def test_unknown_key_cannot_be_revoked(command: Command) -> None:
    unknown = str(uuid.uuid4())

    assert command.status("keys", "revoke", unknown) == 1
    assert f"there is no key {unknown}" in command.output("keys", "revoke", unknown)


def test_limits_of_a_tenant_apply_at_once(api: Api, command: Command) -> None:
    command.status("tenants", "set", "tests", "--requests-per-minute", "7", "--jobs-waiting", "1")

    answers = [api.post(a_photo()) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [202, 429]
    assert answers[0].headers["RateLimit-Policy"] == '"requests";q=7;w=60'
    assert "tests: requests-per-minute 7, jobs-waiting 1" in command.output("tenants", "list")


def test_preset_gives_a_tenant_the_limits_of_removebg(api: Api, command: Command) -> None:
    command.status("tenants", "set", "tests", "--megapixels-per-day", "1", "--jobs-waiting", "1")

    changed = command("tenants", "set", "tests", "--preset", "removebg", "--jobs-waiting", "2000")

    assert (changed["requests_per_minute"], changed["jobs_waiting"]) == (500, 2000)
    key = {"X-Api-Key": api.key(Scope.SUBMIT)}
    answer = httpx.get(f"{api.url}/v1.0/account", headers=key, timeout=60)
    assert answer.headers["X-RateLimit-Limit"] == "500"
    assert answer.json()["data"]["attributes"]["credits"]["total"] == 1_000_000


def test_omitted_settings_of_a_tenant_stay(api: Api, command: Command, tmp_path: Path) -> None:
    file = tmp_path / "recipe.json"
    file.write_text('{"crop": true}')
    command.status(
        *("tenants", "set", "tests", "--keep-input-seconds", "60", "--keep-result-seconds", "3600")
    )
    command.status("tenants", "set", "tests", "--keep-nothing", "--megapixels-per-day", "0.5")
    command.status("tenants", "set", "tests", "--recipe", f"@{file}")
    answered = command("tenants", "set", "tests", "--keep-result-seconds", "default")

    (said,) = command("tenants", "list")["items"]
    assert answered == said

    given = {name: value for name, value in said.items() if value is not None}
    assert given == {
        "tenant": "tests",
        "megapixels_per_day": 0.5,
        "keep_input_seconds": 60,
        "keep_nothing": True,
        "recipe": {"crop": True},
    }
    assert 'keep-nothing true, recipe {"crop": true}' in command.output("tenants", "list")
    assert api.job(api.submit(background="keep"))["recipe"]["crop"] == "true"


def test_tenant_turns_emotions_off_and_back_to_the_servers_setting(
    api: Api, command: Command
) -> None:
    command.status("tenants", "set", "tests", "--emotions", "off")
    listed = command.output("tenants", "list")
    shown = [api.read("/v1/tenants/tests")["emotions"]]
    command.status("tenants", "set", "tests", "--emotions", "default")
    shown.append(api.read("/v1/tenants/tests")["emotions"])

    assert shown == [False, None]
    assert "emotions false" in listed


@pytest.mark.parametrize(
    "wrong",
    [
        ("--emotions", "on"),
        ("--recipe", "{"),
        ("--recipe", "[]"),
        ("--recipe", "@/nonexistent"),
        ("--recipe", '{"crop": "sideways"}'),
        ("--recipe", '{"background": "transparent", "format": "jpg"}'),
        ("--keep-result-seconds", "1"),
        ("--keep-input-seconds", "soon"),
        ("--jobs-waiting", "-1"),
        ("--preset", "adobe"),
    ],
)
def test_wrong_setting_of_a_tenant_is_wrong_usage(command: Command, wrong: tuple[str, str]) -> None:
    assert command.status("tenants", "set", "tests", *wrong) == 2
    assert command("tenants", "list")["items"] == []
