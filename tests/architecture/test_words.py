"""Words that code, documents and texts of the interface do not use (plain American English)."""

import ast
import functools
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
# Each has a plain replacement: a subject that is a thing of the system, or the field's term.
WORDS = (
    "whoever", "whomever", "whosever", "nobody", "somebody", "anybody", "everybody", "nought",
    "anew", "so many", "so much", "beside", "is told", "are told", "was told", "told of",
    "taken for", "by then", "of which", "of whom", "of what", "goes by", "hence", "lest",
)  # fmt: skip
# Names hold words too, joined by underscores.
PATTERN = re.compile(
    rf"(?<![A-Za-z])({'|'.join(WORDS).replace(' ', '[ _]')})(?![A-Za-z])", re.IGNORECASE
)
# Names for what has another name: estimate, snapshot, retention, doorbell, references, limit.
FORMER_NAMES = re.compile("(^|_)(forecasts?|foreseen|outlook|keeping|ringers?|lent|borrows)(_|$)")
PACKAGES = ("api", "client", "deploy", "docs", "shared", "training", "workers")
# They say nothing about the value: a variable is the noun of what it holds.
FILLERS = {"begun", "found", "known", "named", "one", "own", "perhaps"}
# Fields of results, settings and the client, which stored documents and programs use.
FIELDS = {
    "training/smart_filter_training/models/expression/train.py: known",
    "shared/smart_filter_shared/results.py: found",
}
# The name of a Unix user.
EXCEPTIONS = {
    "deploy/smart_filter_deploy/embedded/server_user.py",
    "tests/integration/test_embedded_lifetime.py",
}
SUFFIXES = {".css", ".html", ".js", ".md", ".mjs", ".py", ".sh", ".toml", ".yaml", ".yml"}


def test_texts_use_plain_words() -> None:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=CHECKOUT, check=True, capture_output=True, text=True
    ).stdout.splitlines()
    paths = [
        path
        for name in listed
        if (path := CHECKOUT / name).suffix in SUFFIXES
        and path != Path(__file__)
        and name not in EXCEPTIONS
        and "/vendor/" not in name
        and path.is_file()
    ]

    found = [
        f"{path.relative_to(CHECKOUT)}:{number}: {match[0]}"
        for path in paths
        for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1)
        for match in PATTERN.finditer(line)
    ]

    assert len(paths) > 1000
    assert found == []


@functools.cache
def names_in(path: Path) -> tuple[tuple[int, str], ...]:
    """Return line and name of each variable, parameter, attribute, function and class."""
    return tuple(_list_names(ast.parse(path.read_text("utf-8"))))


def _list_names(module: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(module):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.lineno, node.name
            case ast.arg():
                yield node.lineno, node.arg
            case ast.Name(ctx=ast.Store()):
                yield node.lineno, node.id
            case ast.Attribute(ctx=ast.Store()):
                yield node.lineno, node.attr
            case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                yield node.lineno, name


def modules_in(*folders: str) -> list[Path]:
    return [path for folder in folders for path in (CHECKOUT / folder).rglob("*.py")]


def test_one_idea_has_one_name() -> None:
    paths = modules_in(*PACKAGES, "benchmarks", "tests")

    former = [
        f"{path.relative_to(CHECKOUT)}:{line}: {name}"
        for path in paths
        for line, name in names_in(path)
        if FORMER_NAMES.search(name.lower()) and path != Path(__file__)
    ]

    assert len(paths) > 1200
    assert former == []


def test_decisions_and_changelog_use_the_names_of_the_code() -> None:
    titles = [
        path.read_text("utf-8").splitlines()[0]
        for path in (CHECKOUT / "docs" / "decisions").glob("*.md")
    ]
    lines = [*titles, *(CHECKOUT / "CHANGELOG.md").read_text("utf-8").splitlines()]

    former = [line for line in lines if FORMER_NAMES.search(re.sub(r"\W+", "_", line.lower()))]

    assert len(titles) > 20
    assert former == []


def test_names_say_what_they_hold() -> None:
    paths = modules_in(*PACKAGES, "benchmarks")

    fillers = {
        f"{path.relative_to(CHECKOUT)}: {name}"
        for path in paths
        for _, name in names_in(path)
        if name.strip("_") in FILLERS
    }

    assert len(paths) > 800
    assert fillers == FIELDS


def test_functions_say_what_they_read() -> None:
    bare = [
        f"{path.relative_to(CHECKOUT)}:{node.lineno}: {node.name}"
        for path in modules_in(*PACKAGES)
        for node in ast.parse(path.read_text("utf-8")).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.strip("_") in {"of", "put", "read"}
    ]

    assert bare == []
