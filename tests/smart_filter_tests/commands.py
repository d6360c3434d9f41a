"""Run the command line in tests."""

import json
from collections.abc import Sequence
from typing import Any

import click
import pytest

from smart_filter_deploy.cli import main, smart_filter
from smart_filter_deploy.cli.terminal.exit_codes import WRONG_USAGE
from smart_filter_shared.config.settings import Settings
from smart_filter_tests.bench import environment_of


class Command:
    """The command line in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: str) -> Any:  # noqa: ANN401 - JSON
        """Run a command that must succeed; return its JSON output."""
        self._capsys.readouterr()
        assert self.status(*arguments, "--json") == 0
        return json.loads(self._capsys.readouterr().out)

    def status(self, *arguments: str) -> object:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        return ended.value.code

    def usage_error(self, *arguments: str) -> str:
        """Run a command that must end as wrong usage; return the one line that it writes."""
        self._capsys.readouterr()
        assert self.status(*arguments) == WRONG_USAGE
        written = self._capsys.readouterr()
        assert (written.out, written.err.count("\n")) == ("", 1)
        return written.err

    def output(self, *arguments: str) -> str:
        self._capsys.readouterr()
        self.status(*arguments)
        written = self._capsys.readouterr()
        return written.out + written.err


def on_servers(
    server_settings: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Command:
    """Return the command line with these servers in its environment."""
    for name, value in environment_of(server_settings).items():
        monkeypatch.setenv(name, value)
    return Command(capsys)


def parse(words: Sequence[str]) -> None:
    """Parse a command line as the program does, and run nothing.  Raises click.UsageError."""
    command: click.Command = smart_filter
    left = list(words)
    while isinstance(command, click.Group):
        below = command.get_command(click.Context(command), left[0])
        assert below is not None, f"no command {' '.join(words)}"
        command = below
        left.pop(0)
    command.make_context(words[0], left)
