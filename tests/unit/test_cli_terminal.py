import io

import click
import pytest
from rich.table import Table
from rich.text import Text

from smart_filter_deploy.cli import report
from smart_filter_deploy.cli.console import Console
from smart_filter_deploy.cli.dashboard import Dashboard
from smart_filter_deploy.cli.endings import Ending, status_of
from smart_filter_deploy.cli.terminal import shown

# A title, a link, a bell, a colour by C1, a line of one's own, writing backwards.
HOSTILE = "a\x1b]0;owned\x07b\x9b31mc\nd\re\u202ef\u2066"


def is_harmless(written: str) -> bool:
    return all(line.isprintable() for line in written.split("\n"))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("Käthe & 花 😀.jpg", "Käthe & 花 😀.jpg"),
        ("\x1b[2J", "\\x1b[2J"),
        ("a\nb\tc", "a\\x0ab\\x09c"),
        ("\x9b\xa0", "\\x9b\\xa0"),
        ("\u202egpj.exe\u2069", "\\u202egpj.exe\\u2069"),
        ("\udcff\U000e0041", "\\udcff\\U000e0041"),
    ],
)
def test_unprintable_character_is_shown_by_its_number(words: str, told: str) -> None:
    assert shown(words) == told


def test_error_of_a_command_is_one_harmless_line(capsys: pytest.CaptureFixture[str]) -> None:
    @click.command()
    def command() -> None:
        raise Ending(HOSTILE, 1)

    status_of(command, [])

    err = capsys.readouterr().err
    assert is_harmless(err)
    assert err.count("\n") == 1


@pytest.mark.parametrize("terminal", [True, False])
def test_console_shows_words_wherever_they_stand(*, terminal: bool) -> None:
    file = io.StringIO()
    console = Console(file=file, force_terminal=terminal, width=200, color_system=None)
    table = Table(box=None)
    table.add_column(HOSTILE)
    table.add_row(Text(HOSTILE), HOSTILE)

    report.print_table(console, table)
    console.print(HOSTILE, markup=False, soft_wrap=True)
    console.print(Text.assemble(("x", "bold"), HOSTILE))

    assert is_harmless(file.getvalue())
    assert "\\x1b]0;" in file.getvalue()


def test_moving_photo_commands_no_terminal() -> None:
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=80, height=24, color_system=None)

    with Dashboard(console) as dashboard:
        dashboard.moved(HOSTILE, HOSTILE)
        dashboard.say(HOSTILE)

    written = file.getvalue()
    assert "\\x1b]0;owned" in written
    assert not any(sign in written for sign in ("\x1b]", "\x07", "\x9b", "\u202e"))
