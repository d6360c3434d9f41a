"""Find the lines of a file that call remove.bg, and what to change in each.

Sources of the clients' behavior: PyPI removebg 0.4, removebgplus 0.1.2 and removebg-cli 1.0.0, npm
remove.bg 1.3.0 and removebg-wrapper 1.0.3, the gem remove_bg (remove-bg/ruby), remove-bg/go,
remove-bg/remove-bg-cli, and mtownsend/remove-bg for PHP.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from itertools import islice
from pathlib import PurePosixPath
from typing import Final

from smart_filter_deploy.cli.removebg.patch import split_lines
from smart_filter_deploy.cli.removebg.source_tree import SourceFile

# Characters of a match that are shown; the rest of the line may hold a key.
_MAX_SHOWN: Final = 60
# Longer lines are generated, and are searched only for the patterns of _LINEAR.
_MAX_WRITTEN_CHARACTERS: Final = 2000


class Kind(StrEnum):
    """The kind of a call site, which decides the change."""

    ADDRESS = "address"
    HOST = "host"
    IMPROVE = "improve"
    PYTHON = "python client"
    PYTHON_FIXED = "removebgplus"
    NODE = "node client"
    RUBY = "ruby client"
    GO = "go client"
    PHP = "php client"
    PHP_FIXED = "php facade"
    TOOL = "command"
    WORKFLOW = "workflow app"
    KEY = "key"
    LINK = "link"


_ANSWER_AS_HOST = (
    "its address is fixed: let this server answer as api.remove.bg inside your network"
    " (`smart-filter removebg certificate`, docs/removebg-network.md)"
)
# The remedy of each kind; {url} stands for the server's base URL.
ADVICE: Final = {
    Kind.ADDRESS: "replace https://api.remove.bg by {url}; the path stays",
    Kind.HOST: "replace the host and port by those of {url}; the path /v1.0/… stays",
    Kind.IMPROVE: "delete the call: /v1.0/improve is 404, photos are not passed on",
    Kind.PYTHON: (
        "PyPI removebg has its address in a constant: after the import, set"
        " removebg.removebg.API_ENDPOINT = '{url}/v1.0/removebg'"
    ),
    Kind.PYTHON_FIXED: f"PyPI removebgplus: {_ANSWER_AS_HOST}; it needs REQUESTS_CA_BUNDLE",
    Kind.NODE: (
        f"npm remove.bg and removebg-wrapper: {_ANSWER_AS_HOST}; Node.js needs NODE_EXTRA_CA_CERTS"
    ),
    Kind.RUBY: (
        f"gem remove_bg: {_ANSWER_AS_HOST}; or, before the first call, replace its constant:"
        ' RemoveBg::Api.send(:remove_const, :URL); RemoveBg::Api::URL = "{url}"'
    ),
    Kind.GO: f"github.com/remove-bg/go: {_ANSWER_AS_HOST}",
    Kind.PHP: (
        "mtownsend/remove-bg has a public property: after each `new RemoveBg(…)`, set"
        " ->endpoint = '{url}/v1.0/removebg'"
    ),
    Kind.PHP_FIXED: (
        "mtownsend/remove-bg, through Laravel: use `new RemoveBg(…)` instead, with ->endpoint ="
        f" '{{url}}/v1.0/removebg'; or {_ANSWER_AS_HOST}"
    ),
    Kind.TOOL: f"the command removebg: {_ANSWER_AS_HOST}",
    Kind.WORKFLOW: (
        "the app's address is fixed: replace its step by an HTTP request, POST"
        " {url}/v1.0/removebg with the header X-Api-Key (n8n: docs/n8n.md has a node)"
    ),
    Kind.KEY: (
        "its value becomes a key of this server:"
        " smart-filter keys create --tenant removebg --scopes submit"
    ),
    Kind.LINK: "a page or picture of remove.bg, which ends on 1 December 2026: replace it",
}


# Their patterns take linear time; the others backtrack, though never beyond a line.
_LINEAR: Final = frozenset({Kind.ADDRESS, Kind.HOST, Kind.IMPROVE, Kind.LINK, Kind.WORKFLOW})


@dataclass(frozen=True, slots=True)
class CallSite:
    """A place that calls remove.bg.

    line, column: counted from 1.  match: what was found, without the rest of the line.
    replacement: the new text of the line; None if a person has to change it.
    """

    file: str
    line: int
    column: int
    kind: Kind
    match: str
    replacement: str | None


_ADDRESS = re.compile(r"https?:(\\?/)(\\?/)api\.remove\.bg(?::443)?(?![\w.-])", re.IGNORECASE)
_IMPROVE = re.compile(r"api\.remove\.bg\\?/v1\.0\\?/improve\b", re.IGNORECASE)
_HOST = re.compile(r"(?<![\w-])api\.remove\.bg(?![\w-])", re.IGNORECASE)
_LINK = re.compile(r"(?<![\w-])(?:www|static)\.remove\.bg(?![\w-])", re.IGNORECASE)
_KEY = re.compile(r"(?<![A-Z0-9])REMOVE_?BG_(?:API_?)?(?:KEY|TOKEN|SECRET)(?![A-Z0-9])")
_TOOL = re.compile(
    r"\bremovebg-cli\b|\bremove-bg/homebrew-tap\b"
    r"|\bremovebg\s(?:[^|;&]*\s)?--(?:api-key|output-directory|reprocess-existing"
    r"|confirm-batch-over|bg-color|extra-api-options)\b"
)
_TOOL_LINE = re.compile(r"^\s*(?:-\s+)?(?:run:\s+)?removebg\s+(?=[^\s=(:])")
_PYTHON_IMPORT = re.compile(
    r"^\s*(?:from\s+removebg(?:\.removebg)?\s+import\b|import\s+removebg\b)"
)
# A whole statement of the published class, after which a line can be added.
_PYTHON_STATEMENT = re.compile(
    r"^(\s*)from\s+removebg(?:\.removebg)?\s+import\s+RemoveBg(?:\s+as\s+\w+)?\s*(?:#.*)?$"
)
_PYTHON_DEPENDENCY = re.compile(r"""^\s*["']?removebg["']?\s*(?:$|[=<>~!\[;#,"'])""")
_PYTHON_LISTED = re.compile(r"""["']removebg(?:\s*[=<>~!;][^"']*)?["']""")
_PYTHON_FIXED = re.compile(r"""^\s*(?:from\s+|import\s+|["'])?removebgplus\b""")
_NODE_IMPORT = re.compile(
    r"""(?:\bfrom\s+|\brequire\(\s*|\bimport\(?\s*)["'](?:remove\.bg|removebg-wrapper)["']"""
)
_NODE_DEPENDENCY = re.compile(r'"(?:remove\.bg|removebg-wrapper)"\s*:')
_RUBY_IMPORT = re.compile(
    r"""\b(?:require|gem)\s*\(?\s*["']remove_bg["']|add_\w*dependency\W+remove_bg\b"""
)
# Bundler loads the gem of a Gemfile, so that other files need not require it.
_RUBY_CALL = re.compile(
    r"(?<![\w:])(?:::)?RemoveBg\.(?:configure|from_file|from_io|from_url|account_info)\b"
)
_GO_IMPORT = re.compile(r"\bgithub\.com/remove-bg/go\b")
_PHP_NAMESPACE = re.compile(r"\\?\bMtownsend\\{1,2}RemoveBg\\{1,2}\w+")
_PHP_DEPENDENCY = re.compile(r'"mtownsend\\?/remove-bg"')
_PHP_NEW = re.compile(r"\bnew\s+\\?(?:Mtownsend\\RemoveBg\\)?RemoveBg\s*\(")
_PHP_FACADE = re.compile(r"\bremovebg\(\)\s*->|\bRemoveBg::(?!class\b)\w+\s*\(")
_PHP_STATEMENT = re.compile(
    r"^(\s*)(\$\w+)\s*=\s*new\s+\\?(?:Mtownsend\\RemoveBg\\)?RemoveBg\s*\([^;]*\);\s*$"
)
# An exported workflow of n8n, Make or Zapier, and the app of one of its steps.
_EXPORT = re.compile(r'"(?:nodes|flow|zaps|steps)"\s*:')
_APP = re.compile(
    r'"(?:type|module|app|selected_api|typeName)"\s*:\s*"[^"]{0,100}?remove[-_. ]?bg[^"]{0,100}"',
    re.IGNORECASE,
)


_PYTHON_MANIFESTS: Final = (
    "Pipfile", "requirements*.txt", "requirements*.in", "pyproject.toml", "setup.cfg"
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Rule:
    """A pattern, and the files to search: all, or files of a suffix or name."""

    kind: Kind
    pattern: re.Pattern[str]
    suffixes: frozenset[str] = frozenset()
    names: tuple[str, ...] = ()


_RULES: Final = (
    _Rule(Kind.IMPROVE, _IMPROVE),
    _Rule(Kind.ADDRESS, _ADDRESS),
    _Rule(Kind.HOST, _HOST),
    _Rule(Kind.LINK, _LINK),
    _Rule(Kind.KEY, _KEY),
    _Rule(Kind.TOOL, _TOOL),
    _Rule(
        Kind.TOOL,
        _TOOL_LINE,
        frozenset(".sh .bash .zsh .fish .ps1 .bat .cmd .mk .yml .yaml".split()),
        ("Makefile", "Dockerfile*", "Jenkinsfile", "Procfile", "justfile"),
    ),
    _Rule(Kind.PYTHON, _PYTHON_IMPORT, frozenset({".py"})),
    _Rule(
        Kind.PYTHON,
        _PYTHON_DEPENDENCY,
        names=_PYTHON_MANIFESTS,
    ),
    _Rule(Kind.PYTHON_FIXED, _PYTHON_FIXED, frozenset({".py"}), _PYTHON_MANIFESTS),
    _Rule(Kind.PYTHON, _PYTHON_LISTED, names=("pyproject.toml", "setup.py")),
    _Rule(
        Kind.NODE,
        _NODE_IMPORT,
        frozenset(".js .jsx .ts .tsx .mjs .cjs .mts .cts .vue .svelte .astro".split()),
    ),
    _Rule(Kind.NODE, _NODE_DEPENDENCY, names=("package.json",)),
    _Rule(
        Kind.RUBY,
        _RUBY_IMPORT,
        frozenset({".rb", ".gemspec", ".rake", ".ru"}),
        ("Gemfile", "Rakefile"),
    ),
    _Rule(Kind.RUBY, _RUBY_CALL, frozenset({".rb", ".rake", ".ru"}), ("Rakefile",)),
    _Rule(Kind.GO, _GO_IMPORT, frozenset({".go"}), ("go.mod",)),
    _Rule(Kind.PHP, _PHP_NEW, frozenset({".php"})),
    _Rule(Kind.PHP_FIXED, _PHP_FACADE, frozenset({".php"})),
    _Rule(Kind.PHP, _PHP_NAMESPACE, frozenset({".php"})),
    _Rule(Kind.PHP, _PHP_DEPENDENCY, names=("composer.json",)),
    _Rule(Kind.WORKFLOW, _APP, frozenset({".json"})),
)


def find_call_sites(file: SourceFile, url: str) -> Iterator[CallSite]:
    """Yield the call sites of a file, in the order of its lines.

    url: base URL of the server that replaces remove.bg.
    """
    if "remove" not in file.text.lower():
        return
    rules = _rules_of(file)
    for number, line in enumerate(split_lines(file.text), start=1):
        seen: set[Kind] = set()
        for kind, pattern in rules:
            if kind in seen or (len(line) > _MAX_WRITTEN_CHARACTERS and kind not in _LINEAR):
                continue
            # An exported workflow may be one line with every step.
            most = None if kind == Kind.WORKFLOW else 1
            matches = list(islice(pattern.finditer(line), most))
            if not matches:
                continue
            seen.add(kind)
            for match in matches:
                yield CallSite(
                    file.name,
                    number,
                    match.start() + 1,
                    kind,
                    " ".join(match[0].split())[:_MAX_SHOWN],
                    _replace(kind, line, url),
                )
            if kind in {Kind.ADDRESS, Kind.IMPROVE}:
                # Its host is part of it.
                seen |= {Kind.ADDRESS, Kind.HOST}


def _rules_of(file: SourceFile) -> list[tuple[Kind, re.Pattern[str]]]:
    """Return the patterns to look for in a file, by its name and content."""
    path = PurePosixPath(file.name)
    suffix = path.suffix.lower()
    rules = [
        (rule.kind, rule.pattern)
        for rule in _RULES
        if not (rule.suffixes or rule.names)
        or suffix in rule.suffixes
        or any(path.match(name) for name in rule.names)
    ]
    return [(kind, pattern) for kind, pattern in rules if _applies(kind, pattern, file.text)]


def _applies(kind: Kind, pattern: re.Pattern[str], text: str) -> bool:
    """Return whether a rule is about a file with this text."""
    if kind == Kind.WORKFLOW:
        return _EXPORT.search(text) is not None
    if pattern is _PYTHON_IMPORT:
        return "API_ENDPOINT" not in text
    if pattern is _PHP_NEW:
        return "->endpoint" not in text and _PHP_NAMESPACE.search(text) is not None
    if pattern is _RUBY_CALL:
        return _RUBY_IMPORT.search(text) is None
    if pattern is _PHP_NAMESPACE:
        # A file that only names the class, such as a configuration.
        return _PHP_NEW.search(text) is None and _PHP_FACADE.search(text) is None
    return True


def _replace(kind: Kind, line: str, url: str) -> str | None:
    """Return the new text of a line where the change is mechanical."""
    if kind == Kind.ADDRESS:
        return _ADDRESS.sub(partial(_replace_address, url), line)
    if kind == Kind.PYTHON and (match := _PYTHON_STATEMENT.match(line)):
        return _add_lines(
            line,
            f"{match[1]}import removebg.removebg as removebg_client",
            f'{match[1]}removebg_client.API_ENDPOINT = "{url}/v1.0/removebg"',
        )
    if kind == Kind.PHP and (match := _PHP_STATEMENT.match(line)):
        return _add_lines(line, f"{match[1]}{match[2]}->endpoint = '{url}/v1.0/removebg';")
    return None


def _replace_address(url: str, match: re.Match[str]) -> str:
    # PHP's json_encode escapes slashes.
    return url.replace("/", "\\/") if match[1] == "\\/" else url


def _add_lines(line: str, *added: str) -> str:
    """Return a line and lines after it, with the same line ends."""
    end = "\r\n" if line.endswith("\r\n") else "\n"
    start = line if line.endswith("\n") else f"{line}{end}"
    lines = start + "".join(f"{added_line}{end}" for added_line in added)
    return lines if line.endswith("\n") else lines.removesuffix(end)
