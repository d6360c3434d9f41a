import pytest

from smart_filter_shared import web_address
from smart_filter_shared.web_address import WebAddress

# An address, and the one spelling that it is read into.
SPELLINGS = """
    https://example.org                        https://example.org/
    HTTPS://Example.ORG:443/A.jpg              https://example.org/A.jpg
    http://example.org:8080/a?b=c&d=%20e       http://example.org:8080/a?b=c&d=%20e
    https://example.org?only=query             https://example.org/?only=query
    https://example.org/a.jpg#part             https://example.org/a.jpg
    https://example.org./a                     https://example.org/a
    https://example.org/été.jpg                https://example.org/%C3%A9t%C3%A9.jpg
    https://bücher.example/a                   https://xn--bcher-kva.example/a
    https://例え。テスト/a                     https://xn--r8jz45g.xn--zckzah/a
    https://my_bucket.example.org/a            https://my_bucket.example.org/a
    https://example.org/a@b:c                  https://example.org/a@b:c
    http://192.0.2.1:80/                       http://192.0.2.1/
    http://[2001:DB8::0:1]:8080/               http://[2001:db8::1]:8080/
    http://storage/photos/1                    http://storage/photos/1
    http://1.example/                          http://1.example/
"""


@pytest.mark.parametrize("line", SPELLINGS.strip().splitlines())
def test_address_is_read_into_its_one_spelling(line: str) -> None:
    text, meant = line.split()

    address = web_address.read(text)

    assert str(address) == meant
    assert web_address.read(meant) == address


NO_WEB_ADDRESS = """
    example.org/a.jpg //example.org/a.jpg https:/example.org https:example.org https://
    https:///etc/passwd file:///etc/passwd ftp://example.org/a gopher://127.0.0.1:6379/_INFO
    dict://127.0.0.1:11211/stat data:image/png;base64,AAAA javascript://example.org/%0aalert(1)
    unix://%2Frun%2Fdocker.sock/info http+unix://%2Frun%2Fdocker.sock/info jar:http://example.org!/
"""
USER_OR_PASSWORD = """
    https://user:secret@example.org/ https://example.org@127.0.0.1/ https://@example.org/
    https://example.org:80@127.0.0.1/
"""
ODD_HOST = r"""
    http://2130706433/ http://0x7f000001/ http://0x7f.0.0.1/ http://0177.0.0.1/
    http://017700000001/ http://127.1/ http://127.0.1/ http://0/ http://127.0.0.01/
    http://127.0.0.1.0x/ http://256.0.0.1/ http://1.2.3.4.5/ http://example.0x1/ http://１２７.１/
    http://①②⑦.1/ http://%31%32%37.0.0.1/ http://127%2e0%2e0%2e1/ http://local%68ost/
    http://example..org/ http://.example.org/ http://example.org../ http://-example.org/
    http://example.org\@127.0.0.1/ http://127.0.0.1\.example.org/ http://xn--ü.test/
"""
IPV6 = """
    http://[::1/ http://::1/ http://[fe80::1%eth0]/ http://[fe80::1%25eth0]/ http://[127.0.0.1]/
    http://[localhost]/ http://[::1].example.org/ http://[v1.fe80::a]/
"""
PORT = """
    http://example.org:0/ http://example.org:65536/ http://example.org:99999999/
    http://example.org:-1/ http://example.org:http/ http://example.org:/ http://example.org:８０/
    http://example.org:80:80/
"""
WITH_SPACES = [
    *("", "http://exa mple.org/", "http://exam\tple.org/", "http://example.org\n.evil.test/"),
    *("http://exam\u200bple.org/", "http://example\u2024org\ufffe/"),
    "http://example.org\x00.evil.test/",
    # Requests inside of addresses.
    "http://example.org/ HTTP/1.1\r\nHost: internal",
    "http://example.org/a\u2028b",
]
TOO_LONG = [f"http://{'a' * 64}.test/", f"http://{'a.b' * 100}.test/", f"https://a/{'a' * 2048}"]


@pytest.mark.parametrize(
    "text",
    [
        *(NO_WEB_ADDRESS + USER_OR_PASSWORD + ODD_HOST + IPV6 + PORT).split(),
        *WITH_SPACES,
        *TOO_LONG,
    ],
)
def test_address_that_programs_read_differently_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^(is|names|holds) ") as raised:
        web_address.read(text)

    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("location", "leads_to"),
    [
        ("https://other.test/b", "https://other.test/b"),
        ("/b?c", "https://example.org/b?c"),
        ("b", "https://example.org/a/b"),
        ("../b", "https://example.org/b"),
        ("//other.test/b", "https://other.test/b"),
        ("?c#part", "https://example.org/a/?c"),
        ("", "https://example.org/a/"),
    ],
)
def test_location_leads_on_from_its_own_address(location: str, leads_to: str) -> None:
    address = web_address.read("https://example.org/a/")

    assert str(web_address.followed(address, location)) == leads_to


# The first: a page that came over TLS is not read in the open.
ASTRAY = r"""
    http://example.org/ file:///etc/passwd file:/etc/passwd gopher://example.org/
    //user:secret@example.org/ //0x7f.1/ //[::1%25lo]/ //[::1 //[secret]/ \\127.0.0.1\
"""


@pytest.mark.parametrize(
    "location", [*ASTRAY.split(), "//secret\u2100/", "java\tscript:alert(1)", "/a b"]
)
def test_location_that_leads_astray_is_refused(location: str) -> None:
    address = web_address.read("https://example.org/a/")

    with pytest.raises(ValueError, match=r"^(is|names|holds) ") as raised:
        web_address.followed(address, location)

    assert "secret" not in str(raised.value)


def test_open_address_may_lead_to_a_secure_one() -> None:
    address = WebAddress("http", "example.org", 80, "/")

    assert web_address.followed(address, "https://example.org/").scheme == "https"
