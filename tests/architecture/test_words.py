"""Words that code, documents and texts of the interface do not use (plain American English)."""

import ast
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
PACKAGES = ("api", "client", "deploy", "shared", "training", "workers")
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


def names_in(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line and name of each variable, parameter, function and class."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.lineno, node.name
            case ast.arg():
                yield node.lineno, node.arg
            case ast.Name(ctx=ast.Store()):
                yield node.lineno, node.id


def test_one_idea_has_one_name() -> None:
    paths = [path for folder in PACKAGES for path in (CHECKOUT / folder).rglob("*.py")]

    found = [
        f"{path.relative_to(CHECKOUT)}:{line}: {name}"
        for path in paths
        for line, name in names_in(path)
        if FORMER_NAMES.search(name.lower())
    ]

    assert len(paths) > 800
    assert found == []
