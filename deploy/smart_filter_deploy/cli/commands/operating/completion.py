"""`smart-filter completion`: prints a script that lets a shell complete command lines."""

import os
from typing import Any, ClassVar

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    add_completion_class,
    get_completion_class,
    shell_complete,
    split_arg_string,
)

from smart_filter_deploy.cli.terminal.exit_codes import ALL_SUCCEEDED, PROGRAM
from smart_filter_deploy.cli.terminal.lazy_group import COMPLETE_VARIABLE
from smart_filter_deploy.cli.terminal.text import examples

_SHELLS = ("bash", "zsh", "fish")
# Characters at which bash splits words without a blank: `preset:studio` is three words.
_WORD_BREAKS = ":="


@click.command(
    epilog=examples(
        'eval "$(smart-filter completion bash)"     # in ~/.bashrc',
        'eval "$(smart-filter completion zsh)"      # in ~/.zshrc',
        "smart-filter completion fish > ~/.config/fish/completions/smart-filter.fish",
    )
)
@click.argument("shell", type=click.Choice(_SHELLS))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the shell completion script (commands, options, designs, models and jobs)."""
    class_ = _Bash if shell == _Bash.name else get_completion_class(shell)
    assert class_ is not None, "click knows these shells"
    program = ctx.find_root().command
    click.echo(class_(program, {}, PROGRAM, COMPLETE_VARIABLE).source())


def answer_shell(program: click.Command) -> int:
    """Print the completions that a shell requests in COMPLETE_VARIABLE; return the exit status."""
    add_completion_class(_Bash)
    request = os.environ[COMPLETE_VARIABLE]
    try:
        return shell_complete(program, {}, PROGRAM, COMPLETE_VARIABLE, request)
    except ModuleNotFoundError:
        # A shell cannot show that the command needs an extra: offer nothing.
        return ALL_SUCCEEDED


class _Bash(BashComplete):
    """Completion for bash, which splits words at colons but expects whole ones."""

    name: ClassVar[str] = "bash"
    source_template: ClassVar[str] = """\
%(complete_func)s() {
    local line kind value
    COMPREPLY=()
    while IFS= read -r line; do
        kind=${line%%%%,*} value=${line#*,}
        case $kind in
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
            plain) COMPREPLY+=("$value"); [[ $value == *: ]] && compopt -o nospace ;;
        esac
    done < <(COMP_LINE="${COMP_LINE:0:COMP_POINT}" COMP_WORDBREAKS="$COMP_WORDBREAKS" \\
        %(complete_var)s=bash_complete "$1" 2>/dev/null)
}
complete -o nosort -F %(complete_func)s %(prog_name)s
"""

    def source(self) -> str:
        """Return the script, without click's check of the bash version on this machine."""
        return self.source_template % self.source_vars()

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the words before the cursor, and the typed part of the word at it."""
        line = os.environ["COMP_LINE"]
        words = split_arg_string(line)[1:]
        typed = "" if not words or line[-1:].isspace() else words.pop()
        breaks = [
            sign for sign in _WORD_BREAKS if sign in os.environ.get("COMP_WORDBREAKS", _WORD_BREAKS)
        ]
        end = max((typed.rfind(sign) + 1 for sign in breaks), default=0)
        # bash counts this as earlier words and would print it twice.
        self._before = typed[:end]
        return words, typed

    # Any: click's signature.
    def format_completion(self, item: CompletionItem[Any]) -> str:
        """Return one line of the completions."""
        return f"{item.type},{str(item.value).removeprefix(self._before)}"
