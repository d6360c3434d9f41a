"""Which IP addresses are public, and which of a host's may be connected to."""

import ipaddress
import socket

import pytest

from smart_filter_shared.errors import PictureLate
from smart_filter_shared.settings import OutboundSettings
from smart_filter_tests.web import Names
from smart_filter_workers.fetcher.guard import Guard
from smart_filter_workers.fetcher.ranges import is_public

PUBLIC = "93.184.215.14"
PUBLIC_6 = "2606:4700::6810:84e5"


def allowed(host: str, names: Names, *, port: int = 443, allow: tuple[str, ...] = ()) -> list[str]:
    guard = Guard(OutboundSettings(allow=allow), names)
    return [str(one) for one in guard.addresses(host, port, seconds=5)]


# With the metadata services of Alibaba, Azure, most clouds, AWS (containers) and Oracle.
NOT_PUBLIC = """
    0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.100.100.200 100.127.255.255 127.0.0.1
    127.255.255.254 168.63.129.16 169.254.0.1 169.254.169.254 169.254.170.2 172.16.0.1
    172.31.255.255 192.0.0.8 192.0.0.192 192.0.2.1 192.88.99.1 192.168.0.1 198.18.0.1
    198.19.255.255 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255
"""
# With Teredo (2001:0::/32), 6to4 (2002::/16) and the metadata service of AWS (fd00:ec2::254).
NOT_PUBLIC_6 = """
    :: ::1 ::127.0.0.1 ::8.8.8.8 ::ffff:127.0.0.1 ::ffff:8.8.8.8 ::ffff:0:127.0.0.1
    64:ff9b::7f00:1 64:ff9b::808:808 64:ff9b:1::a00:1 100::1 2001::1 2001:0:7f00:1::1 2001:2::1
    2001:10::1 2001:db8::1 2002:7f00:1:: 2002:808:808::1 3fff::1 4000::1 5f00::1 fc00::1
    fd00:ec2::254 fe80::1 fe80::1%eth0 fec0::1 ff02::1 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff
"""
# The first and last addresses next to those.
PUBLIC_ADDRESSES = """
    1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0
    169.253.255.255 172.15.255.255 172.32.0.0 192.0.1.1 192.169.0.0 198.17.255.255 198.20.0.0
    223.255.255.255 2001:4860:4860::8888 2606:4700::6810:84e5 2a00:1450:4001::1
"""


@pytest.mark.parametrize("text", (NOT_PUBLIC + NOT_PUBLIC_6).split())
def test_address_in_a_reserved_range_is_not_public(text: str) -> None:
    assert not is_public(ipaddress.ip_address(text))


@pytest.mark.parametrize("text", PUBLIC_ADDRESSES.split())
def test_address_next_to_the_ranges_is_public(text: str) -> None:
    assert is_public(ipaddress.ip_address(text))


def test_name_goes_where_all_its_answers_are_public() -> None:
    names = Names({"photos.test": [[PUBLIC_6, PUBLIC]]})

    assert allowed("photos.test", names) == [PUBLIC_6, PUBLIC]
    assert names.asked == ["photos.test"]


@pytest.mark.parametrize(
    "answers",
    [
        [],
        ["127.0.0.1"],
        [PUBLIC, "127.0.0.1"],
        [PUBLIC, "::1"],
        [PUBLIC, "fe80::1%eth0"],
        [PUBLIC, "no address"],
        ["::ffff:169.254.169.254"],
    ],
)
def test_name_with_an_answer_that_is_not_public_goes_nowhere(answers: list[str]) -> None:
    assert allowed("photos.test", Names({"photos.test": [answers]})) == []


@pytest.mark.parametrize("port", [0, 22, 25, 53, 110, 3306, 5432, 6379, 9000, 9200, 11211, 27017])
def test_port_of_another_protocol_is_not_connected_to(port: int) -> None:
    names = Names({"photos.test": [[PUBLIC]]})

    assert allowed("photos.test", names, port=port) == []
    assert allowed(PUBLIC, names, port=port) == []


@pytest.mark.parametrize(
    ("allow", "host", "goes_to"),
    [
        (("127.0.0.1",), "127.0.0.1", ["127.0.0.1"]),
        (("127.0.0.0/8",), "127.1.2.3", ["127.1.2.3"]),
        (("::1",), "::1", ["::1"]),
        (("127.0.0.1",), "local.test", ["127.0.0.1"]),
        (("::1", "127.0.0.1"), "local.test", ["::1", "127.0.0.1"]),
        (("local.test",), "local.test", ["::1", "127.0.0.1"]),
        (("LOCAL.test.",), "local.test", ["::1", "127.0.0.1"]),
        (("10.0.0.0/8",), "trick.test", ["10.0.0.1"]),
        (("127.0.0.2",), "local.test", []),
        (("other.test",), "local.test", []),
        (("test",), "local.test", []),
        (("10.0.0.0/8",), "169.254.169.254", []),
        (("127.0.0.0/8",), "::ffff:127.0.0.1", []),
    ],
)
def test_operator_opens_hosts_and_networks_on_any_port(
    allow: tuple[str, ...], host: str, goes_to: list[str]
) -> None:
    answers = {"local.test": [["::1", "127.0.0.1"]], "trick.test": [["10.0.0.1", "127.0.0.1"]]}

    assert allowed(host, Names(answers), port=9000, allow=allow) == goes_to


@pytest.mark.parametrize("text", ["10.0.0.5/8", "a b", "http://media.internal", "*.test", "h:80"])
def test_entry_that_opens_nothing_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a host"):
        OutboundSettings(allow=(text,))


def test_names_server_that_does_not_answer_may_do_so_later() -> None:
    names = Names({"photos.test": [socket.gaierror(socket.EAI_AGAIN, "try again")]})

    with pytest.raises(PictureLate, match="looked up"):
        allowed("photos.test", names)
