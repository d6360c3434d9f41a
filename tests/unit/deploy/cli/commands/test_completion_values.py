import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from smart_filter_deploy import cli
from smart_filter_deploy.cli.commands import completion_values


def ended(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> tuple[object, str, str]:
    with pytest.raises(SystemExit) as end:
        cli.main(arguments)
    out, err = capsys.readouterr()
    return end.value.code, out, err


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys; from smart_filter_deploy.cli import smart_filter\n"
        "smart_filter.main(['--help'], standalone_mode=False)\n"
        "print(*sorted(sys.modules), file=sys.stderr)"
    )

    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)

    heavy = {"asyncio", "httpx", "rich", "pydantic", "numpy", "smart_filter_client"}
    assert heavy.isdisjoint(ended.stderr.decode().split())


BREAKS = " \t\n\"'><=;|&(:"


@pytest.fixture
def complete(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., list[str]]:
    """Return the words offered for a line, in a shell that breaks words at these characters."""

    def words(line: str) -> list[str]:
        monkeypatch.setenv("_SMART_FILTER_COMPLETE", "bash_complete")
        monkeypatch.setenv("COMP_LINE", line)
        monkeypatch.setenv("COMP_WORDBREAKS", BREAKS)
        monkeypatch.setenv("SMART_FILTER_DATA", "/nonexistent")
        with pytest.raises(SystemExit) as ended:
            cli.main([])
        out, err = capsys.readouterr()
        assert (ended.value.code, err) == (0, "")
        return [line.partition(",")[2] for line in out.splitlines() if line]

    return words


def bash(script: str, folder: Path | None = None) -> str:
    """Run a bash script in a folder; return its output and require an empty standard error."""
    ended = subprocess.run(
        ["bash", "--norc", "-c", script],
        env={
            "PYTHON": sys.executable,
            "PYTHONPATH": ":".join(sys.path),
            "PATH": "/usr/bin:/bin",
            "MAIN": "from smart_filter_deploy.cli import main; main()",
        },
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stderr == ""
    return ended.stdout


@pytest.mark.parametrize(
    ("line", "some"),
    [
        ("smart-filter ", {"run", "batch", "live", "doctor"}),
        ("smart-filter jo", {"jobs"}),
        ("smart-filter jobs ", {"list", "show", "cancel", "redrive"}),
        ("smart-filter batch --re", {"--recursive", "--retry-failed", "--report"}),
        ("smart-filter run --background ", {"auto", "transparent", "preset:"}),
        ("smart-filter run --format w", {"webp"}),
        ("smart-filter completion ", {"bash", "zsh", "fish"}),
        # bash splits `preset:` into two words and replaces only the second.
        ("smart-filter run --background preset:stud", {"studio", "studio-white"}),
    ],
)
def test_words_are_offered(complete: Callable[..., list[str]], line: str, some: set[str]) -> None:
    assert some <= set(complete(line))


@pytest.mark.parametrize("url", ["", "http://127.0.0.1:0", "no url"], ids=["none", "away", "wrong"])
@pytest.mark.parametrize("line", ["smart-filter jobs show ", "smart-filter models show "])
def test_unavailable_server_offers_no_words(
    complete: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch, line: str, url: str
) -> None:
    if url:
        monkeypatch.setenv("SMART_FILTER_URL", url)

    assert complete(line) == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_script_calls_the_program(
    shell: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match=r"^0$"):
        cli.main(["completion", shell])

    assert f"_SMART_FILTER_COMPLETE={shell}_complete" in capsys.readouterr().out


def test_server_words_with_shell_syntax_are_not_offered() -> None:
    words = ["people", "onnx/a-b:1", "$(id)", "a;b", "*", "a b", "-o", "`id`", "a\n", "a\x1b[2J"]

    assert completion_values.ask_in_time(lambda: words, patience_seconds=60) == [
        "people",
        "onnx/a-b:1",
    ]


def test_bash_does_not_expand_patterns_in_an_answer(tmp_path: Path) -> None:
    (tmp_path / "plain,file").touch()
    press = (
        'eval "$("$PYTHON" -c "$MAIN" completion bash)"\n'
        "smart-filter() { echo 'plain,*'; }\n"
        "_smart_filter_completion smart-filter\n"
        'printf "%s\\n" "${COMPREPLY[@]}"\n'
    )

    assert bash(press, tmp_path) == "*\n"
