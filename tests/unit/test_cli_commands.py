"""Rules for every command: help, examples, JSON, and how wrong usage ends."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest

from smart_filter_deploy import cli


def paths(group: click.Group, *before: str) -> Iterator[tuple[str, ...]]:
    """Yield the words of every command and group below one."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield (*before, name)
        if isinstance(command, click.Group):
            yield from paths(command, *before, name)


def found(path: tuple[str, ...]) -> click.Command:
    command: click.Command = cli.smart_filter
    for name in path:
        assert isinstance(command, click.Group)
        inner = command.get_command(click.Context(command), name)
        assert inner is not None
        command = inner
    return command


EVERY = list(paths(cli.smart_filter))
ENDS = [path for path in EVERY if not isinstance(found(path), click.Group)]


def ended(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> tuple[object, str, str]:
    with pytest.raises(SystemExit) as end:
        cli.main(arguments)
    out, err = capsys.readouterr()
    return end.value.code, out, err


@pytest.mark.parametrize("path", ENDS, ids=" ".join)
def test_examples_are_command_lines_that_can_be_read(path: tuple[str, ...]) -> None:
    epilog = found(path).epilog or ""
    lines = [line.strip() for line in epilog.splitlines()[2:]]

    assert any(" ".join(path) in line for line in lines)
    for line in lines:
        for called in re.findall(r"smart-filter ([^|)#>]*)", line):
            words = shlex.split(called.replace('"', "") if '"$(' in line else called)
            command, rest = cli.smart_filter, words
            while isinstance(command, click.Group) and rest:
                inner = command.get_command(click.Context(command), rest[0])
                assert inner is not None, line
                command, rest = inner, rest[1:]
            options = {opt for one in command.params for opt in one.opts + one.secondary_opts}
            assert {word for word in rest if re.match(r"--?[a-z]", word)} <= options, line


@pytest.mark.parametrize("path", [(), *EVERY], ids=" ".join)
@pytest.mark.parametrize("wrong", [["--no-such-option"], ["--no-such-option", "--json"]])
def test_wrong_usage_is_one_line_and_status_2(
    path: tuple[str, ...], wrong: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = ended((*path, *wrong), capsys)

    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    assert err.startswith("smart-filter: ")


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys; from smart_filter_deploy.cli import smart_filter\n"
        "smart_filter.main(['--help'], standalone_mode=False)\n"
        "print(*sorted(sys.modules), file=sys.stderr)"
    )

    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)

    heavy = {"asyncio", "httpx", "rich", "pydantic", "numpy", "smart_filter_client"}
    assert heavy.isdisjoint(ended.stderr.decode().split())
