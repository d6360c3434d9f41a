"""`smart-filter removebg scan`: calls of remove.bg in a code base, and the diff."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from smart_filter_deploy import cli
from smart_filter_deploy.cli.removebg.source_tree import MAX_DEPTH, SkippedFiles, read_sources

SOURCES = Path(__file__).parents[4] / "data" / "removebg-sources"
SERVER = "https://cutout.example.com"
ADDRESS = 'url = "https://api.remove.bg/v1.0/removebg"\n'
# File, line, kind, and whether the diff changes it.
EXPECTED = {
    "go/go.mod:3 go client",
    "go/main.go:6 go client",
    "go/main.go:9 address *",
    "node/client.js:1 node client",
    "node/fetch.ts:1 address *",
    "node/fetch.ts:11 address *",
    "node/https.mjs:5 host",
    "node/package.json:5 node client",
    "node/package.json:6 node client",
    "php/Remover.php:11 php client *",
    "php/composer.json:3 php client",
    "php/facade.php:5 php facade",
    "php/facade.php:6 php facade",
    "php/curl.php:2 address *",
    "php/curl.php:3 key",
    "php/curl.php:4 link",
    "python/cutout.py:12 address *",
    "python/cutout.py:15 key",
    "python/pyproject.toml:4 python client",
    "python/requirements.txt:2 python client",
    "python/requirements.txt:3 removebgplus",
    "python/requirements.txt:4 command",
    "python/with_client.py:5 python client *",
    "ruby/Gemfile:2 ruby client",
    "ruby/cutout.rb:1 ruby client",
    "ruby/faraday.rb:3 address *",
    "ruby/initializer.rb:1 ruby client",
    "shell/cutout.sh:3 address *",
    "shell/cutout.sh:4 command",
    "shell/cutout.sh:5 command",
    "shell/cutout.sh:6 command",
    "shell/cutout.sh:7 improve",
    "shell/settings.env:1 key",
    "shell/settings.env:2 address *",
    "workflows/make.json:5 workflow app",
    "workflows/make.json:6 address *",
    "workflows/n8n.json:6 address *",
    "workflows/n8n.json:8 workflow app",
    "workflows/zapier.json:1 address *",
    "workflows/zapier.json:1 workflow app",
}


class Scan:
    """The command, with its output as text, JSON or the bytes of a diff."""

    def __init__(self, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
        self._capture = capfdbinary
        self.status: object = None
        self.err = ""

    def text(self, *arguments: str | Path) -> str:
        return self.diff(*arguments).decode()

    def diff(self, *arguments: str | Path) -> bytes:
        with pytest.raises(SystemExit) as ended:
            cli.main(["removebg", "scan", *map(str, arguments)])
        self.status = ended.value.code
        out, err = self._capture.readouterr()
        self.err = err.decode()
        return out

    def found(self, *arguments: str | Path) -> set[str]:
        return {
            f"{item['file']}:{item['line']} {item['kind']}{' *' * item['mechanical']}"
            for item in json.loads(self.text(*arguments, "--json"))["items"]
        }


@pytest.fixture
def scan(capfdbinary: pytest.CaptureFixture[bytes]) -> Scan:
    return Scan(capfdbinary)


def apply(program: tuple[str, ...], diff: bytes, folder: Path) -> None:
    subprocess.run(program, cwd=folder, input=diff, check=True, capture_output=True)


def test_calls_in_every_language_are_found(scan: Scan) -> None:
    assert scan.found(SOURCES) == EXPECTED
    assert scan.status == 0


def test_every_step_of_a_workflow_on_one_line_is_listed(tmp_path: Path, scan: Scan) -> None:
    step = {"type": "n8n-nodes-removebg.removeBg"}
    (tmp_path / "flow.json").write_text(json.dumps({"nodes": [step, step]}), "utf-8")

    assert scan.text(tmp_path).count("flow.json:1") == 2


def test_text_says_what_to_change_and_shows_no_key(scan: Scan) -> None:
    text = scan.text(SOURCES, "--url", f"{SERVER}/v1.0/removebg")

    assert "shell/cutout.sh:3" in text
    assert f"replace https://api.remove.bg by {SERVER}; the path stays" in text
    assert "smart-filter removebg certificate" in text
    assert "a-secret-of-the-sample" not in text
    assert scan.err.startswith("40 calls in 23 of 23 files; --diff changes 13\n")


@pytest.mark.parametrize("program", [("git", "apply"), ("patch", "-p1")], ids=["git", "patch"])
def test_diff_applies_and_changes_all_that_is_mechanical(
    scan: Scan, tmp_path: Path, program: tuple[str, ...]
) -> None:
    if shutil.which(program[0]) is None:
        pytest.skip(f"{program[0]} is not installed, and this test applies the diff with it")
    shutil.copytree(SOURCES, tmp_path, dirs_exist_ok=True)

    apply(program, scan.diff(tmp_path, "--diff", "--url", SERVER), tmp_path)

    assert scan.found(tmp_path) == {one for one in EXPECTED if not one.endswith("*")}
    python = (tmp_path / "python/with_client.py").read_text()
    assert f'removebg_client.API_ENDPOINT = "{SERVER}/v1.0/removebg"\n' in python
    compile(python, "with_client.py", "exec")
    json.loads((tmp_path / "workflows/make.json").read_text())


def test_nothing_is_written(scan: Scan, tmp_path: Path) -> None:
    shutil.copytree(SOURCES, tmp_path / "code")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}

    scan.text(tmp_path, "--diff", "--url", SERVER)

    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("windows.py", b'a\r\nurl = "https://api.remove.bg"\r\nb\r\n'),
        ("latin.py", b'# caf\xe9\nurl = "https://api.remove.bg"  # \xff\xfe\n'),
        ("no-end.py", b"first\nhttps://api.remove.bg"),
        ("with space.py", b"https://api.remove.bg\n"),
        ('quo"te\ttab\\é.py', b"https://api.remove.bg\n"),
        ("separators.py", "\u2028\x0c\x85https://api.remove.bg\x0b\n\u2029\n".encode()),
        ("far.py", b"https://api.remove.bg\n" + b"x\n" * 40 + b"https://api.remove.bg\n"),
        ("client.py", b"from removebg import RemoveBg"),
    ],
)
def test_diff_keeps_every_other_byte(scan: Scan, tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)

    apply(("git", "apply"), scan.diff(tmp_path, "--diff", "--url", SERVER), tmp_path)

    if name == "client.py":
        assert (tmp_path / name).read_bytes().count(b"\n") == 2
    else:
        expected = content.replace(b"https://api.remove.bg", SERVER.encode())
        assert (tmp_path / name).read_bytes() == expected


def test_packages_links_and_special_files_are_left_out(scan: Scan, tmp_path: Path) -> None:
    for folder in (".git", "node_modules/remove.bg", "vendor/x", "a/.venv"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "index.js").write_text(ADDRESS)
    (tmp_path / "package-lock.json").write_text(ADDRESS)
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "link.py").symlink_to(tmp_path / "vendor/x/index.js")
    (tmp_path / "broken").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe.py")
    (tmp_path / "picture.py").write_bytes(b"\x89PNG\0" + ADDRESS.encode())
    (tmp_path / "large.py").write_bytes(ADDRESS.encode() * 60_000)
    (tmp_path / ".github").mkdir()
    (tmp_path / ".github/ci.yml").write_text(ADDRESS)

    assert scan.found(tmp_path) == {".github/ci.yml:1 address *"}
    scan.text(tmp_path)
    assert "left out: 1 binary, 1 larger than 2 MB, 3 links\n" in scan.err


def test_unreadable_file_is_counted_and_named(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(ADDRESS)
    (tmp_path / "b.py").write_text(ADDRESS)
    (tmp_path / "c.py").write_text(ADDRESS)
    skipped = SkippedFiles()

    files = read_sources(tmp_path, skipped)
    names = [next(files).name]
    (tmp_path / "b.py").unlink()  # after the listing; root can read every file that exists
    names += [file.name for file in files]

    assert names == ["a.py", "c.py"]
    assert skipped.unreadable == ["b.py (No such file or directory)"]
    assert skipped.unreadable_count == 1


def test_number_of_files_is_limited(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / f"{number}.py").write_text(ADDRESS)
    skipped = SkippedFiles()

    assert len(list(read_sources(tmp_path, skipped, max_files=4))) == 4
    assert skipped.is_cut


def test_deep_folders_end_the_scan_with_a_word(scan: Scan, tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["d"] * (MAX_DEPTH + 1))
    deep.mkdir(parents=True)
    (deep / "x.py").write_text(ADDRESS)
    (tmp_path / "y.py").write_text(ADDRESS)

    assert scan.found(tmp_path) == {"y.py:1 address *"}
    assert scan.status == 1
    scan.text(tmp_path)
    assert "the scan ended at a limit" in scan.err


def test_names_of_files_cannot_write_to_the_terminal(scan: Scan, tmp_path: Path) -> None:
    (tmp_path / "\x1b[31mred\n<b>.py").write_text(ADDRESS)

    assert "\\x1b[31mred\\x0a<b>.py:1" in scan.text(tmp_path)


def test_generated_line_of_two_megabytes_is_scanned(scan: Scan, tmp_path: Path) -> None:
    hostile = "removebg add_ from removebg ".ljust(40) * 40_000
    (tmp_path / "bundle.js").write_text(f"{hostile} fetch('https://api.remove.bg/v1.0/removebg')")

    assert scan.found(tmp_path) == {"bundle.js:1 address *"}


@pytest.mark.parametrize(
    "arguments",
    [
        ("--diff",),
        ("--diff", "--json", "--url", SERVER),
        ("--url", "ftp://cutout.example.com"),
        ("--url", "https://x.example.com/'; rm -rf"),
        ("--url", "https://user:secret@x.example.com"),
        ("--url", "https://x.example.com/?a=b"),
    ],
)
def test_wrong_options_are_wrong_usage(
    scan: Scan, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    scan.text(tmp_path, *arguments)

    assert scan.status == 2
    assert scan.err.count("\n") == 1


def test_folder_without_calls_is_named(scan: Scan, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("from removebg_tools import remove\nremovebg = 1\n")
    (tmp_path / "style.css").write_text(".xapi.remove.bgx {}\n")

    assert scan.text(tmp_path) == ""
    assert (scan.status, scan.err) == (0, "no call of remove.bg in 2 files\n")
