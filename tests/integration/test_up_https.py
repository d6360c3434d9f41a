"""`smart-filter up` with https: certificates that clients reject are refused before it starts."""

import datetime as dt
import socket
import subprocess
from pathlib import Path

import pytest

from smart_filter_deploy import tls_files
from smart_filter_deploy.embedded import c2pa_certificate
from smart_filter_shared.errors import SetupFailed
from smart_filter_tests.commands import Command
from smart_filter_tests.tls_certificates import create_certificate

NOW = dt.datetime.now(dt.UTC)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Certificates of a host (fullchain, valid for two days), of no host, and expired."""
    files = create_certificate(tmp_path, "photos.example.com")
    for name, days in (("unnamed", 3), ("expired", 1)):
        pair = c2pa_certificate.make(now=NOW - dt.timedelta(days=2), days=days)
        for kind, text in zip(("pem", "key"), pair, strict=True):
            (tmp_path / f"tls/{name}.{kind}").write_text(text)
    subprocess.run(
        [
            *("openssl", "pkey", "-aes128", "-passout", "pass:secret", "-in", str(files.key)),
            *("-out", str(tmp_path / "tls/encrypted.key")),
        ],
        check=True,
        capture_output=True,
    )
    return tmp_path / "tls"


@pytest.mark.parametrize(
    ("days", "says"), [(400, "expired on .*: renew it"), (-1, "correct this machine's clock")]
)
def test_server_refuses_a_certificate_outside_its_dates(folder: Path, days: int, says: str) -> None:
    files = (folder / "fullchain.pem", folder / "privkey.pem")

    with pytest.raises(SetupFailed, match=says):
        tls_files.find(*files, now=NOW + dt.timedelta(days=days))


@pytest.mark.parametrize(
    ("certificate_file", "key_file", "says"),
    [
        ("fullchain.pem", None, "--tls-certificate and --tls-key go together"),
        ("fullchain.pem", "no.key", "key {}/no.key cannot be read (No such file or directory)"),
        ("fullchain.pem", "unnamed.key", "{0}/unnamed.key is not the key of {0}/fullchain.pem"),
        ("unnamed.pem", "unnamed.key", "{0}/unnamed.pem names no host, so that clients reject it"),
        ("expired.pem", "expired.key", "the certificate {0}/expired.pem expired on"),
        ("privkey.pem", "privkey.pem", "are not a certificate and its unencrypted key"),
        ("fullchain.pem", "encrypted.key", "are not a certificate and its unencrypted key"),
        ("fullchain.pem", "privkey.pem", "(Address already in use): stop the server that uses it"),
    ],
)
def test_up_names_what_keeps_it_from_serving_https(
    folder: Path, local_command: Command, certificate_file: str, key_file: str | None, says: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        output = local_command.output(
            *("up", "--data", str(folder / "data"), "--tls-port", str(taken.getsockname()[1])),
            *("--tls-certificate", str(folder / certificate_file)),
            *(() if key_file is None else ("--tls-key", str(folder / key_file))),
        )

    assert says.format(folder) in output
    assert output.count("\n") == 1


@pytest.mark.parametrize("option", [("--tls-host", "0.0.0.0"), ("--tls-port", "8443")])
def test_options_of_https_need_a_certificate(
    local_command: Command, option: tuple[str, str]
) -> None:
    assert "add --tls-certificate and --tls-key" in local_command.usage_error("up", *option)
