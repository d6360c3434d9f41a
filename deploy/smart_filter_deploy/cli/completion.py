"""`smart-filter completion`: what teaches a shell to complete our command lines."""

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

from smart_filter_deploy.cli.endings import PROGRAM
from smart_filter_deploy.cli.examples import examples
from smart_filter_deploy.cli.sections import COMPLETE_VARIABLE

_SHELLS = ("bash", "zsh", "fish")
# Where bash begins another word although nobody typed a blank: `preset:studio` is three words.
_BREAKS = ":="


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
    """Print the script that has a shell complete commands, options, designs, models and jobs."""
    found = _Bash if shell == _Bash.name else get_completion_class(shell)
    assert found is not None, "click knows these shells"
    program = ctx.find_root().command
    click.echo(found(program, {}, PROGRAM, COMPLETE_VARIABLE).source())


def answer(program: click.Command) -> int:
    """Tell a shell what may come next, as COMPLETE_VARIABLE asks for; return the exit status."""
    add_completion_class(_Bash)
    return shell_complete(program, {}, PROGRAM, COMPLETE_VARIABLE, os.environ[COMPLETE_VARIABLE])


class _Bash(BashComplete):
    """bash, which is told whole words although it breaks them at colons."""

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
        """Return the script; the bash of this machine need not be the one that reads it."""
        return self.source_template % self.source_vars()

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the words before the cursor, and what is typed of the one at it."""
        line = os.environ["COMP_LINE"]
        words = split_arg_string(line)[1:]
        typed = "" if not words or line[-1:].isspace() else words.pop()
        breaks = [sign for sign in _BREAKS if sign in os.environ.get("COMP_WORDBREAKS", _BREAKS)]
        end = max((typed.rfind(sign) + 1 for sign in breaks), default=0)
        # What bash takes for words before this one, and would write twice.
        self._before = typed[:end]
        return words, typed

    # Any: as click has it.
    def format_completion(self, item: CompletionItem[Any]) -> str:
        """Return a line of the answer."""
        return f"{item.type},{str(item.value).removeprefix(self._before)}"
