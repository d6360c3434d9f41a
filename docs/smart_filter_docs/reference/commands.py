"""Make the page about the command line from click's tree: all of `--help` on one page."""

import inspect
from collections.abc import Iterator

import click

from smart_filter_deploy import cli
from smart_filter_deploy.cli.terminal.exit_codes import PROGRAM
from smart_filter_docs.markdown import block, code, plain, sections, table


def page() -> str:
    """Return the page."""
    return sections(
        "# Commands",
        "The output of `smart-filter COMMAND --help` for every command. Exit statuses: 0, success;"
        " 1, a photo failed or a request was refused; 2, wrong usage; 3, no server.",
        *_command(cli.smart_filter, PROGRAM, None),
    )


def _command(command: click.Command, path: str, above: click.Context | None) -> Iterator[str]:
    context = click.Context(command, info_name=path.rpartition(" ")[2], parent=above)
    if above is not None:
        yield f"{'##' if path.count(' ') == 1 else '###'} {path.removeprefix(PROGRAM + ' ')}"
        yield _words(command.help or "")
        yield block(_usage(command, path, context))
        yield table(("option", "meaning"), _options(command, context))
        yield _words((command.epilog or "").replace("Examples:\n", ""))
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inside = command.get_command(context, name)
            if inside is not None and not inside.hidden:
                yield from _command(inside, f"{path} {name}", context)


def _usage(command: click.Command, path: str, context: click.Context) -> str:
    return " ".join([path, *command.collect_usage_pieces(context)])


def _options(command: click.Command, context: click.Context) -> Iterator[tuple[str, str]]:
    for parameter in command.get_params(context):
        if not isinstance(parameter, click.Option) or parameter.hidden:
            continue
        record = parameter.get_help_record(context)
        if record is not None and "--help" not in parameter.opts:
            yield code(record[0]), record[1]


def _words(help_text: str) -> str:
    r"""Return a command's help as Markdown: preformatted paragraphs (\b) as blocks."""
    paragraphs = inspect.cleandoc(help_text).split("\n\n")
    return sections(
        *(
            block(inspect.cleandoc(paragraph.removeprefix("\b\n")), "sh")
            if paragraph.startswith("\b")
            else plain(paragraph)
            for paragraph in (each.strip("\n") for each in paragraphs)
        )
    )
