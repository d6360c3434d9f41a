"""Recipes that ask for Content Credentials, with and without a certificate on the server."""

import os
import stat
import subprocess
from pathlib import Path

import pytest

from smart_filter_deploy.cli.server import program
from smart_filter_deploy.embedded import c2pa_certificate
from smart_filter_deploy.embedded.folder import DataFolder
from smart_filter_shared.security.signing_certificate import CERTIFICATE, KEY
from smart_filter_tests import certificates
from smart_filter_tests.bench import Bench
from smart_filter_tests.commands import Command
from smart_filter_tests.patience import PATIENCE_SECONDS
from smart_filter_tests.serving import Api, a_photo, an_api_with, refusal_of


def test_without_a_certificate_the_field_is_refused_at_submission(api: Api) -> None:
    answer = api.post(a_photo(), {"background": "keep", "provenance": "c2pa"})

    assert refusal_of(answer) == (422, "not_available")
    (error,) = answer.json()["errors"]
    assert error["pointer"] == "/provenance"
    assert f"{CERTIFICATE} and {KEY}" in error["detail"]
    assert api.leftovers() == {}


def test_with_a_certificate_the_field_is_accepted_and_shown(bench: Bench) -> None:
    certificate, _ = certificates.a_pair()
    # The API needs no key.
    with an_api_with(bench, **{CERTIFICATE: certificate}) as signing:
        job = signing.job(signing.submit(background="keep", provenance="c2pa"))
        plain = signing.job(signing.submit(background="keep"))

    assert (job["recipe"]["provenance"], plain["recipe"]["provenance"]) == ("c2pa", "none")


@pytest.mark.parametrize(
    "command",
    [
        ("api", "--port", "1"),
        pytest.param(("worker", "--stages", "composite"), marks=pytest.mark.slow),
    ],
)
def test_process_with_an_expired_certificate_ends_with_one_line(
    bench: Bench, command: tuple[str, ...]
) -> None:
    expired = certificates.environment(certificates.an_expired_pair())

    ended = subprocess.run(
        program.command(*command),
        env={**os.environ, **bench.environment, **expired},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )

    assert ended.returncode != 0
    line = ended.stderr.splitlines()[-1]
    assert line.startswith(f"smart-filter: {CERTIFICATE} expired on ")
    assert "Traceback" not in ended.stderr


def without_its_key() -> dict[str, str]:
    return {CERTIFICATE: certificates.a_pair()[0]}


def with_another_key() -> dict[str, str]:
    _, key = certificates.a_web_server_pair()
    return {**without_its_key(), KEY: key}


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        (certificates.environment(certificates.an_expired_pair()), f"{CERTIFICATE} expired on "),
        (
            certificates.environment(certificates.a_web_server_pair()),
            "set one for email protection or document signing, which a web server's is not",
        ),
        (with_another_key(), f"{KEY} is not the key of the first certificate in {CERTIFICATE}"),
        (without_its_key(), f"{CERTIFICATE} is set and {KEY} is not; set both, or none"),
    ],
    ids=["expired", "web server", "another key", "no key"],
)
def test_up_refuses_a_certificate_that_cannot_sign_before_it_starts(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    environment: dict[str, str],
    says: str,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    output = Command(capsys).output("up", "--data", str(tmp_path / "data"))

    assert says in output
    assert output.count("\n") == 1
    assert not (tmp_path / "data").exists()


def test_local_stack_keeps_one_private_test_certificate(tmp_path: Path) -> None:
    folder = DataFolder.at(tmp_path / "data")

    first, second = keep_certificate(folder), keep_certificate(folder)

    assert first == second
    paths = sorted((folder.path / "secrets").glob("c2pa-*.pem"))
    assert [stat.S_IMODE(path.stat().st_mode) for path in paths] == [0o600, 0o600]
    certificate, key = certificates.an_expired_pair()
    for path, text in zip(paths, (certificate, key), strict=True):
        path.write_text(text)
    assert keep_certificate(folder) not in ({CERTIFICATE: certificate, KEY: key}, first)


def keep_certificate(folder: DataFolder) -> dict[str, str]:
    c2pa_certificate.keep(folder)
    return folder.read_certificate()
