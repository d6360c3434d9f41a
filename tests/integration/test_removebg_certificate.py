"""The private CA of `removebg certificate`: what its clients trust, and what servers refuse."""

import contextlib
import datetime as dt
import ipaddress
import re
import socket
import ssl
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from smart_filter_deploy import tls_files
from smart_filter_deploy.cli.removebg import certificate
from smart_filter_deploy.embedded.ports import free_port
from smart_filter_shared.errors import SetupFailed
from smart_filter_tests.commands import Command

NOW = dt.datetime.now(dt.UTC)
HOST = "api.remove.bg"


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(capsys)


@pytest.fixture
def folder(tmp_path: Path, command: Command) -> Path:
    """A folder with a CA and a certificate of api.remove.bg."""
    made = tmp_path / "tls"
    assert command.status("removebg", "certificate", str(made)) == 0
    return made


def handshake(folder: Path, host: str, *, trusted: Path | None = None) -> None:
    """Let a client that trusts the CA of a folder connect to the folder's server."""
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(folder / "server.pem", folder / "server.key")
    client_side = ssl.create_default_context(cafile=trusted or folder / "ca.pem")
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_side.wrap_bio(to_client, to_server, server_hostname=host)
    server = server_side.wrap_bio(to_server, to_client, server_side=True)
    for side in (client, server, client, server):
        with contextlib.suppress(ssl.SSLWantReadError):
            side.do_handshake()
    assert client.version() == "TLSv1.3"


def sign_with_ca(
    folder: Path, name: x509.GeneralName, *, expires_at: dt.datetime = NOW + dt.timedelta(days=30)
) -> None:
    """Replace a folder's server certificate by one that its CA signs for another name."""
    authority = x509.load_pem_x509_certificate((folder / "ca.pem").read_bytes())
    signing = serialization.load_pem_private_key((folder / "ca.key").read_bytes(), None)
    assert isinstance(signing, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    issued = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "another")]))
        .issuer_name(authority.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - dt.timedelta(days=30))
        .not_valid_after(expires_at)
        .add_extension(x509.SubjectAlternativeName([name]), critical=False)
        .sign(signing, hashes.SHA256())
    )
    (folder / "server.pem").write_bytes(issued.public_bytes(serialization.Encoding.PEM))
    (folder / "server.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


def test_client_that_trusts_the_ca_accepts_the_server(folder: Path) -> None:
    handshake(folder, HOST)


def test_server_is_not_accepted_under_another_name(folder: Path) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        handshake(folder, "example.com")


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("example.com", x509.DNSName("example.com")),
        ("remove.bg", x509.DNSName("remove.bg")),
        ("127.0.0.1", x509.IPAddress(ipaddress.ip_address("127.0.0.1"))),
        ("::1", x509.IPAddress(ipaddress.ip_address("::1"))),
    ],
)
def test_ca_certifies_nothing_else(folder: Path, host: str, name: x509.GeneralName) -> None:
    sign_with_ca(folder, name)

    with pytest.raises(ssl.SSLCertVerificationError, match="subtree"):
        handshake(folder, host)


def test_only_the_owner_reads_the_keys(folder: Path) -> None:
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()}

    assert modes == {"ca.key": 0o600, "server.key": 0o600, "ca.pem": 0o644, "server.pem": 0o644}


def test_first_run_names_the_same_file_for_each_client_as_the_page(
    tmp_path: Path, command: Command
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "removebg-network.md").read_text()
    setting = re.compile(
        r"\b(?:NODE_EXTRA_CA_CERTS|REQUESTS_CA_BUNDLE|SSL_CERT_FILE)=[\w.]+|cat .+ > \w+\.pem"
    )

    printed = setting.findall(command.output("removebg", "certificate", str(tmp_path / "tls")))

    assert len(printed) == 4
    assert set(printed) <= set(setting.findall(page))


def test_validity_is_bounded_by_days_and_by_the_ca(tmp_path: Path) -> None:
    issued = certificate.issue(tmp_path, hosts=[], server_days=400, now=NOW)
    late = issued.ca_expires_at - dt.timedelta(days=10)
    renewed = certificate.issue(tmp_path, hosts=[], server_days=400, now=late)

    assert (issued.expires_at - NOW).days in {399, 400}
    assert (issued.ca_expires_at - NOW).days <= 5 * 365
    assert renewed.expires_at == issued.ca_expires_at


def test_renewed_certificate_is_of_the_same_ca(
    tmp_path: Path, folder: Path, command: Command
) -> None:
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes((folder / "ca.pem").read_bytes())
    before = (folder / "server.pem").read_bytes()

    assert "need no change" in command.output("removebg", "certificate", str(folder))

    assert (folder / "server.pem").read_bytes() != before
    handshake(folder, HOST, trusted=trusted)


def test_further_hosts_are_certified(tmp_path: Path, command: Command) -> None:
    made = str(tmp_path / "tls")
    command.status("removebg", "certificate", made, "--host", "Photos.Example.com")

    handshake(tmp_path / "tls", "photos.example.com")
    handshake(tmp_path / "tls", HOST)
    # Without hosts, a renewal is for the same ones.
    command.status("removebg", "certificate", made)
    handshake(tmp_path / "tls", "photos.example.com")


@pytest.mark.parametrize("host", ["com", "127.0.0.1", "*.example.com", "a..b", "", "-a.example"])
def test_name_that_is_no_host_is_wrong_usage(tmp_path: Path, command: Command, host: str) -> None:
    line = command.usage_error("removebg", "certificate", str(tmp_path / "x"), "--host", host)

    assert "is not a host name" in line
    assert not (tmp_path / "x").exists()


def remove_ca_key(folder: Path) -> None:
    (folder / "ca.key").unlink()


def swap_ca_key(folder: Path) -> None:
    (folder / "ca.key").write_bytes((folder / "server.key").read_bytes())


def spoil_ca(folder: Path) -> None:
    (folder / "ca.pem").write_text("no certificate")


@pytest.mark.parametrize(
    ("spoil", "arguments", "says"),
    [
        (remove_ca_key, (), "ca.key is missing next to ca.pem: restore it, or choose another"),
        (swap_ca_key, (), "ca.key is the key of another certificate"),
        (spoil_ca, (), "was not made by this command"),
        (lambda _: None, ("--host", "photos.example.com"), "is only for api.remove.bg: to add"),
    ],
)
def test_ca_that_cannot_sign_is_one_line_and_changes_nothing(
    folder: Path,
    command: Command,
    spoil: Callable[[Path], None],
    arguments: tuple[str, ...],
    says: str,
) -> None:
    spoil(folder)
    before = (folder / "server.pem").read_bytes()

    output = command.output("removebg", "certificate", str(folder), *arguments)

    assert says in output
    assert output.count("\n") == 1
    assert (folder / "server.pem").read_bytes() == before


def test_expired_ca_is_replaced_in_another_folder(folder: Path) -> None:
    with pytest.raises(SetupFailed, match=r"expired .*: choose another folder"):
        certificate.issue(folder, hosts=[], server_days=1, now=NOW + dt.timedelta(days=6 * 365))


def test_folder_that_cannot_be_written_is_one_line(tmp_path: Path, command: Command) -> None:
    (tmp_path / "file").write_text("")

    output = command.output("removebg", "certificate", str(tmp_path / "file" / "tls"))

    assert "choose another folder" in output
    assert output.count("\n") == 1


@pytest.mark.parametrize(
    ("days", "says"),
    [(0, None), (400, "expired on .*: renew it"), (-1, "correct this machine's clock")],
)
def test_server_refuses_a_certificate_outside_its_dates(
    folder: Path, days: int, says: str | None
) -> None:
    files = (folder / "server.pem", folder / "server.key")
    now = NOW + dt.timedelta(days=days)
    refused = contextlib.nullcontext() if says is None else pytest.raises(SetupFailed, match=says)

    with refused:
        tls_files.find(*files, now=now)


@pytest.mark.parametrize(
    ("certificate_file", "key_file", "says"),
    [
        ("server.pem", None, "--tls-certificate and --tls-key go together"),
        ("server.pem", "no.key", "key {}/no.key cannot be read (No such file or directory)"),
        ("server.pem", "ca.key", "{0}/ca.key is not the key of {0}/server.pem"),
        ("ca.pem", "ca.key", "{0}/ca.pem names no host, so that clients reject it: `smart-filter"),
        ("server.key", "server.key", "are not a certificate and its unencrypted key"),
        ("server.pem", "encrypted.key", "are not a certificate and its unencrypted key"),
        ("server.pem", "server.key", "(Address already in use): stop the server that uses it"),
    ],
)
def test_up_names_what_keeps_it_from_serving_https(
    folder: Path, command: Command, certificate_file: str, key_file: str | None, says: str
) -> None:
    key = serialization.load_pem_private_key((folder / "server.key").read_bytes(), None)
    (folder / "encrypted.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    with socket.create_server(("127.0.0.1", 0)) as taken:
        arguments = [
            *("up", "--data", str(folder / "data"), "--tls-port", str(taken.getsockname()[1])),
            *("--tls-certificate", str(folder / certificate_file)),
            *(() if key_file is None else ("--tls-key", str(folder / key_file))),
        ]
        output = command.output(*arguments)

    assert says.format(folder) in output
    assert output.count("\n") == 1


def up_on_a_taken_port(folder: Path, command: Command) -> list[str]:
    """Run `up` with a folder's certificate on a port that is in use; return its lines."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        written = command.output(
            *("up", "--data", str(folder / "data"), "--port", str(taken.getsockname()[1])),
            *("--tls-certificate", str(folder / "server.pem")),
            *("--tls-key", str(folder / "server.key"), "--tls-port", str(free_port())),
        )
    return written.splitlines()


def test_up_refuses_an_expired_certificate(folder: Path, command: Command) -> None:
    sign_with_ca(folder, x509.DNSName(HOST), expires_at=NOW - dt.timedelta(days=1))

    (line,) = up_on_a_taken_port(folder, command)

    assert "expired on" in line
    assert "renew it (`smart-filter removebg certificate`" in line


@pytest.mark.parametrize(
    ("name", "is_noted"),
    [
        (x509.DNSName("photos.example.com"), True),
        (x509.IPAddress(ipaddress.ip_address("192.0.2.7")), True),
        (x509.DNSName("API.remove.bg"), False),
        (x509.DNSName("*.remove.bg"), False),
    ],
)
def test_up_tells_before_it_starts_that_a_certificate_is_for_another_name(
    folder: Path, command: Command, name: x509.GeneralName, *, is_noted: bool
) -> None:
    sign_with_ca(folder, name)

    *notes, refusal = up_on_a_taken_port(folder, command)

    assert "is not available" in refusal
    assert len(notes) == is_noted
    for note in notes:
        assert f"is for {name.value}, not for {HOST}" in note
        assert "`smart-filter removebg certificate` makes one that they accept" in note


@pytest.mark.parametrize("option", [("--tls-host", "0.0.0.0"), ("--tls-port", "8443")])
def test_options_of_https_need_a_certificate(command: Command, option: tuple[str, str]) -> None:
    assert "add --tls-certificate and --tls-key" in command.usage_error("up", *option)
