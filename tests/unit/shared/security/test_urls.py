import pytest

from smart_filter_shared.security import urls
from smart_filter_shared.security.urls import WebUrl

# An address, and its normalized spelling.
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
def test_address_is_normalized(line: str) -> None:
    text, meant = line.split()

    address = urls.parse(text)

    assert str(address) == meant
    assert urls.parse(meant) == address


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
    with pytest.raises(ValueError, match=r"^(is|has) ") as raised:
        urls.parse(text)

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
def test_redirect_is_resolved_against_its_own_address(location: str, leads_to: str) -> None:
    address = urls.parse("https://example.org/a/")

    assert str(urls.follow_redirect(address, location)) == leads_to


# The first: a redirect from TLS to plain HTTP.
ASTRAY = r"""
    http://example.org/ file:///etc/passwd file:/etc/passwd gopher://example.org/
    //user:secret@example.org/ //0x7f.1/ //[::1%25lo]/ //[::1 //[secret]/ \\127.0.0.1\
"""


@pytest.mark.parametrize(
    "location", [*ASTRAY.split(), "//secret\u2100/", "java\tscript:alert(1)", "/a b"]
)
def test_unsafe_redirect_is_refused(location: str) -> None:
    address = urls.parse("https://example.org/a/")

    with pytest.raises(ValueError, match=r"^(is|has) ") as raised:
        urls.follow_redirect(address, location)

    assert "secret" not in str(raised.value)


def test_plain_address_may_redirect_to_a_secure_one() -> None:
    address = WebUrl("http", "example.org", 80, "/")

    assert urls.follow_redirect(address, "https://example.org/").scheme == "https"
