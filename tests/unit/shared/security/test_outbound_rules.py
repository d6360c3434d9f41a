"""The rules of hosts that may be reached, judged without a lookup."""

import pytest

from smart_filter_shared.security import urls
from smart_filter_shared.security.outbound_rules import LOOPBACK_TARGETS, SETTING, OutboundRules

ON_THIS_MACHINE = (
    "http://localhost/ https://LOCALHOST:8443/a http://localhost.:80/ http://app.localhost:3000/hook"
    " http://127.0.0.1:3000/hook http://127.9.9.9/ http://[::1]:9000/"
)
NEVER_LOCAL = (
    "http://0.0.0.0/ http://10.0.0.1/ http://192.168.1.1:8080/ http://169.254.169.254/latest/"
    " http://100.100.100.200/ http://[::ffff:127.0.0.1]/ http://[::ffff:7f00:1]/ http://[::]/"
    " http://[fd00:ec2::254]/ http://[fe80::1]/ http://[64:ff9b::7f00:1]/"
)
# Names that only a local network has; `db` stands for every single label.
LOCAL_NAMES = (
    "http://localhost.localdomain/ http://db/ http://minio:8080/ http://LocalDomain/"
    " http://printer.local/ http://metadata.google.internal/ http://media.internal.:443/"
    " http://router.home.arpa/"
)


def fault(url: str, *allow: str) -> str | None:
    return OutboundRules(allow).find_fault(urls.parse(url))


@pytest.mark.parametrize("url", f"{ON_THIS_MACHINE} {NEVER_LOCAL} {LOCAL_NAMES}".split())
def test_address_that_is_not_public_has_a_fault_that_names_the_setting(url: str) -> None:
    found = fault(url)

    assert found is not None
    assert found.startswith("is not on the public internet")
    assert SETTING in found


@pytest.mark.parametrize("url", ON_THIS_MACHINE.split())
def test_loopback_targets_open_this_machine_on_any_port(url: str) -> None:
    assert fault(url, *LOOPBACK_TARGETS) is None


@pytest.mark.parametrize("url", NEVER_LOCAL.split())
def test_loopback_targets_open_nothing_else(url: str) -> None:
    assert fault(url, *LOOPBACK_TARGETS) is not None


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/",
        "http://8.8.8.8:8080/",
        "http://notlocalhost.com/",
        "http://internal.example.com/",
        "http://notinternal.net/",
        "http://home.arpa.example.org/",
    ],
)
def test_public_address_or_a_name_that_needs_a_lookup_has_no_fault(url: str) -> None:
    assert fault(url) is None


@pytest.mark.parametrize("url", LOCAL_NAMES.split())
def test_local_name_is_open_by_name_and_left_to_the_lookup_with_a_network(url: str) -> None:
    assert fault(url, urls.parse(url).host) is None
    assert fault(url, "10.1.0.0/16") is None
    assert fault(url, "other.internal") is not None


@pytest.mark.parametrize("url", ["https://example.com:3000/", "http://8.8.8.8:22/"])
def test_unusual_port_has_a_fault_that_names_the_usual_ones(url: str) -> None:
    found = fault(url)

    assert found is not None
    assert "80, 443, 8080, 8443" in found
    assert SETTING in found


def test_unusual_port_of_a_name_is_left_to_the_lookup_while_a_network_is_allowed() -> None:
    assert fault("https://media.internal:3000/", "10.1.0.0/16") is None
    assert fault("https://media.internal:3000/", "media.internal") is None
    assert fault("https://media.internal:3000/", "other.internal") is not None
