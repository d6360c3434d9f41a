"""Signing in to the pages at an OpenID Connect provider, and out again."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from browser.accessibility import assert_accessible
from smart_filter_deploy.cli.server import program
from smart_filter_deploy.embedded.addresses import LOOPBACK, free_port
from smart_filter_deploy.embedded.child_processes import Command
from smart_filter_tests.browsing.page_errors import SIGNED_OUT, PageErrors
from smart_filter_tests.browsing.screens import DESKTOP, PHONE_DARK, Screen, on_screens
from smart_filter_tests.full_stack import RunningStack, answers
from smart_filter_tests.oidc_provider import CLIENT_ID, CLIENT_SECRET, Provider, a_provider

GROUPS = [
    {"group": "editors", "tenant": "shop", "scopes": ["submit", "read"]},
    {"group": "operators", "tenant": "local", "scopes": ["operator", "read"]},
]
_BUTTON = "Sign in with Acme"


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with a_provider() as provider:
        yield provider


@dataclass(frozen=True, slots=True)
class Site:
    """The addresses of an API: of its public port, and of its operators' port."""

    url: str
    operators_url: str


@pytest.fixture(scope="module")
def site(stack: RunningStack, provider: Provider, data_folder: Path) -> Site:
    """An API at which persons of the provider can sign in."""
    port, operators_port = free_port(), free_port()
    site = Site(*(f"http://{LOOPBACK}:{port_number}" for port_number in (port, operators_port)))
    stack.stack.start(
        Command(
            name="api-oidc",
            argv=program.command(
                "api", "--port", str(port), "--operators-port", str(operators_port)
            ),
            env={
                "SMART_FILTER_DATA": str(data_folder / "browser"),
                "SMART_FILTER_PUBLIC_URL": site.url,
                "SMART_FILTER_OPERATORS_URL": site.operators_url,
                "SMART_FILTER_SECRETS_KEY": "s" * 32,
                "SMART_FILTER_OIDC_ISSUER": provider.url,
                "SMART_FILTER_OIDC_CLIENT_ID": CLIENT_ID,
                "SMART_FILTER_OIDC_CLIENT_SECRET": CLIENT_SECRET,
                "SMART_FILTER_OIDC_GROUPS": json.dumps(GROUPS),
                "SMART_FILTER_OIDC_LABEL": "Acme",
            },
            ready=lambda: answers(f"{site.operators_url}/readyz"),
        )
    )
    return site


@on_screens(DESKTOP, PHONE_DARK)
def test_person_signs_in_to_the_studio_and_out(
    anonymous_page: Page, site: Site, provider: Provider, page_errors: PageErrors, screen: Screen
) -> None:
    page_errors.expect(SIGNED_OUT)
    provider.groups = ["editors"]
    anonymous_page.goto(site.url)
    expect(anonymous_page.get_by_role("link", name=_BUTTON)).to_be_visible()
    assert_accessible(anonymous_page)

    anonymous_page.get_by_role("link", name=_BUTTON).click()
    expect(anonymous_page.get_by_role("heading", name=screen.invitation)).to_be_visible()
    anonymous_page.get_by_role("button", name="Sign out").click()

    expect(anonymous_page.get_by_role("link", name=_BUTTON)).to_be_visible()
    assert anonymous_page.context.request.get(f"{site.url}/v1/session").status == 401


def test_operator_signs_in_to_the_admin_page(
    anonymous_page: Page, site: Site, provider: Provider, page_errors: PageErrors
) -> None:
    page_errors.expect(SIGNED_OUT)
    provider.groups = ["operators"]
    anonymous_page.goto(f"{site.operators_url}/admin")

    anonymous_page.get_by_role("link", name=_BUTTON).click()

    expect(anonymous_page.get_by_role("heading", name="Queues")).to_be_visible()


def test_person_without_a_listed_group_learns_what_to_do(
    anonymous_page: Page, site: Site, provider: Provider, page_errors: PageErrors
) -> None:
    page_errors.expect(SIGNED_OUT)
    provider.groups = ["guests"]
    anonymous_page.goto(site.url)

    anonymous_page.get_by_role("link", name=_BUTTON).click()

    expect(anonymous_page.get_by_role("alert")).to_contain_text("Your account has no access")
    expect(anonymous_page.get_by_label("Key")).to_be_visible()
    assert_accessible(anonymous_page)
