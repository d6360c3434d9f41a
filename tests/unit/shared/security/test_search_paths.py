"""Search paths of an environment lose what depends on the working folder."""

from pathlib import Path

import pytest

from smart_filter_shared.security.search_paths import leave_working_folder


def cleaned(**environ: str) -> dict[str, str]:
    leave_working_folder(environ)
    return environ


@pytest.mark.parametrize("name", ["PATH", "LD_LIBRARY_PATH", "PYTHONPATH", "PYTHONHOME"])
@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("/a:/b", "/a:/b"),
        ("/a:", "/a"),
        (":/a", "/a"),
        ("/a::/b", "/a:/b"),
        ("lib:/a:./b:../c:.", "/a"),
        ("", None),
        (":", None),
        (".", None),
    ],
)
def test_only_absolute_folders_are_kept(name: str, given: str, kept: str | None) -> None:
    assert cleaned(**{name: given}).get(name) == kept


def test_library_path_has_two_separators() -> None:
    assert cleaned(LD_LIBRARY_PATH="/a;b;/c")["LD_LIBRARY_PATH"] == "/a:/c"


def test_library_to_load_first_is_absolute_or_found_in_the_library_path() -> None:
    preloaded = cleaned(LD_PRELOAD="libfast.so ./hostile.so:/opt/fast.so  sub/hostile.so")

    assert preloaded["LD_PRELOAD"] == "libfast.so:/opt/fast.so"


def test_python_does_not_add_the_working_folder() -> None:
    assert cleaned()["PYTHONSAFEPATH"] == "1"


@pytest.mark.parametrize("name", ["SMART_FILTER_DATA", "SSL_CERT_FILE", "SSL_CERT_DIR", "TMPDIR"])
def test_named_place_means_the_same_in_another_folder(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert cleaned(**{name: "place"})[name] == str(tmp_path / "place")
    assert cleaned(**{name: "/place"})[name] == "/place"
    assert cleaned(**{name: "~/place"})[name] == "~/place"
    assert cleaned(**{name: ""})[name] == ""
