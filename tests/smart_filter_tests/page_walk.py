"""Type the commands of a page in order, as its reader does, and compare what they print.

Code blocks run in order: `sh` is typed into one terminal, `python` into one interpreter with that
terminal's environment. A block under the title of a separate terminal stays there until the page is
done. An `output` block that follows shows the printed text; `…` stands for parts that differ from
run to run.
"""

import os
import re
import shlex
import signal
import subprocess
import uuid
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from smart_filter_tests.patience import PATIENCE_SECONDS

# For a block that runs until the page is done.
STAYS: Final = 'title="a terminal of its own"'
_BLOCK: Final = re.compile(
    r"^```(?P<language>\w+)(?: (?P<words>[^\n]+))?\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL
)
_INDENTED: Final = re.compile(r"\n\n {4}\S")
TYPED: Final = ("sh", "python")
_PRINTED: Final = "output"
# A failing command in the middle is a failure too; an interactive shell would go on.
_SHELL: Final = "set -o errtrace -o pipefail; trap 'failed=1' ERR\n"
_INTERPRETER: Final = """
import sys, traceback
known = {"__name__": "__main__"}
for line in sys.stdin:
    path, page, mark = line.rstrip("\\n").split("\\t")
    status = 0
    try:
        exec(compile(open(path).read(), page, "exec"), known)
    except BaseException:
        traceback.print_exc()
        status = 1
    print(f"\\n{mark} {status}", flush=True)
"""


@dataclass(frozen=True, slots=True)
class Block:
    """A block to type, or to see.

    line: of the page, counted from 1, at which it begins.  prints: the output that the page shows.
    """

    language: str
    code: str
    line: int
    stays: bool
    prints: str | None


def blocks(page: str, shown: Collection[str] = ()) -> list[Block]:
    """Return the blocks that readers of a page type, in order.

    shown: languages of blocks that readers only read.
    Raises ValueError for code that would be missed: indented, or in another language.
    """
    if _INDENTED.search(_BLOCK.sub("", page)):
        raise ValueError("the page has an indented block: fence it, so that it is run")
    listed: list[Block] = []
    matches = list(_BLOCK.finditer(page))
    if len(matches) * 2 != len(re.findall(r"^```", page, re.MULTILINE)):
        raise ValueError("the page has a block without a language: name one, or output")
    for index, match in enumerate(matches):
        if match["language"] in {_PRINTED, *shown}:
            continue
        if match["language"] not in TYPED:
            raise ValueError(f"the page has a block of {match['language']}: use {TYPED}")
        behind = matches[index + 1] if index + 1 < len(matches) else None
        shows = (
            behind is not None
            and behind["language"] == _PRINTED
            and not page[match.end() : behind.start()].strip()
        )
        listed.append(
            Block(
                language=match["language"],
                code=match["code"],
                line=page.count("\n", 0, match.start("code")) + 1,
                stays=match["words"] == STAYS,
                prints=behind["code"] if behind is not None and shows else None,
            )
        )
    return listed


def shows(printed: str, expected: str) -> bool:
    """Return whether the lines of a page are among the printed ones."""
    pattern = ""
    for line in expected.rstrip("\n").split("\n"):
        if line.strip() == "…":
            pattern += r"(?:.*\n)*?"
        else:
            pattern += r"[^\n]*?".join(re.escape(part.rstrip()) for part in line.split("…"))
            pattern += r"[ \t]*\n"
    return re.search(f"^{pattern}", f"{printed}\n", re.MULTILINE) is not None


@dataclass(slots=True)
class Walk:
    page: str
    scratch: Path
    folder: Path
    shell: subprocess.Popen[str]
    others: list[subprocess.Popen[str]]
    interpreter: subprocess.Popen[str] | None = None

    def type(self, block: Block) -> str:
        """Type a block; return its output once it has ended, or has begun where it stays.

        Raises AssertionError when it fails.
        """
        if block.stays:
            return self._stay(block)
        if block.language == "python":
            printed, status = self._interpret(block)
        else:
            printed, status = self._run(block.code)
        assert status == 0, f"{self.page}:{block.line} failed:\n{block.code}\n{printed}"
        return printed

    def _run(self, code: str) -> tuple[str, int]:
        script = self.scratch / f"{uuid.uuid4().hex}.sh"
        script.write_text(code)
        mark = uuid.uuid4().hex
        quoted = shlex.quote(str(script))
        return _asked(
            self.shell,
            f"failed=0; . {quoted} < /dev/null; printf '\\n{mark} %s\\n' $failed\n",
            mark,
        )

    def _interpret(self, block: Block) -> tuple[str, int]:
        if self.interpreter is None:
            self.interpreter = subprocess.Popen(
                [".venv/bin/python", "-c", _INTERPRETER],
                env=self._environment(),
                cwd=self.folder,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        program = self.scratch / f"{uuid.uuid4().hex}.py"
        # Blank lines above, so that a traceback names the page's own line.
        program.write_text("\n" * (block.line - 1) + block.code)
        mark = uuid.uuid4().hex
        return _asked(self.interpreter, f"{program}\t{self.page}\t{mark}\n", mark)

    def _stay(self, block: Block) -> str:
        process = subprocess.Popen(
            ["bash", "--noprofile", "--norc", "-c", f"exec {block.code}"],
            env=self._environment(),
            cwd=self.folder,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.others.append(process)
        assert process.stdout is not None
        first = process.stdout.readline()
        assert first, f"{self.page}:{block.line} ended at once:\n{block.code}"
        return first

    def _environment(self) -> dict[str, str]:
        printed, _ = self._run("env -0 > environment.walk\n")
        assert not printed.strip(), printed
        dumped = self.folder / "environment.walk"
        pairs = dumped.read_text().split("\0")
        dumped.unlink()
        return dict(pair.split("=", 1) for pair in pairs if pair)


@contextmanager
def walk(
    page: str, *, folder: Path, scratch: Path, environment: Mapping[str, str]
) -> Iterator[Walk]:
    """Open a terminal in a folder; at the end, stop running processes, as Ctrl-C does.

    page: its path, for messages.

    Raises AssertionError when a process that stayed does not end well.
    """
    shell = subprocess.Popen(
        ["bash", "--noprofile", "--norc"],
        env=dict(environment),
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert shell.stdin is not None
    shell.stdin.write(_SHELL)
    walking = Walk(page=page, scratch=scratch, folder=folder, shell=shell, others=[])
    try:
        yield walking
    finally:
        for other in walking.others:
            other.send_signal(signal.SIGINT)
        ends = [_end(other) for other in walking.others]
        for process in (walking.interpreter, shell):
            if process is not None:
                _end(process)
    assert not any(ends), f"{page}: what stayed ended with {ends}"


def _asked(process: subprocess.Popen[str], line: str, mark: str) -> tuple[str, int]:
    """Write a line to a process; return its output up to the mark, and the status there."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(line)
    process.stdin.flush()
    printed: list[str] = []
    for printed_line in process.stdout:
        if printed_line.startswith(mark):
            return "".join(printed).removesuffix("\n"), int(printed_line.split()[1])
        printed.append(printed_line)
    raise AssertionError(f"it ended:\n{''.join(printed)}")


def _end(process: subprocess.Popen[str]) -> int:
    streams: list[IO[str] | None] = [process.stdin, process.stdout]
    try:
        if process.stdin is not None:
            process.stdin.close()
        return process.wait(PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        os.kill(process.pid, signal.SIGKILL)
        return process.wait()
    finally:
        for stream in streams:
            if stream is not None:
                stream.close()


def type_all(terminal: Walk, page: str, shown: Collection[str] = ()) -> int:
    """Type every block of a page, and compare; return the number of blocks.

    page: the text.  shown: languages of blocks that readers only read.
    """
    typed = blocks(page, shown)
    for block in typed:
        printed = terminal.type(block)
        if block.prints is not None:
            where = f"{terminal.page}:{block.line}"
            assert shows(printed, block.prints), f"{where} prints\n{printed}"
    return len(typed)


def of_the_test(code: str, *, language: str = "sh", stays: bool = False) -> Block:
    return Block(language=language, code=code, line=1, stays=stays, prints=None)
