"""Write the methods of both clients, one for each operation.

    make client

Each has the parameters and the docstring of its operation, and runs it. A test compares the files.
"""

import ast
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

PACKAGE = Path(__file__).parent / "smart_filter_client"
_MARK = "    # client/generate_client.py writes the methods below: change the operations instead.\n"
# The operations by their modules, in the order of the methods.
_OPERATIONS = {
    "run": "run",
    "jobs": "submit derive job jobs cancel redrive delete",
    "photos": "upload",
    "polling": "wait finished wait_batch",
    "events": "stream stream_batch",
    "corrections": "correct_matte correct_faces corrections",
    "batches": "submit_batch batch batches cancel_batch delete_batch",
    "outputs": "output photo download",
    "webhooks": (
        "create_webhook webhooks webhook change_webhook delete_webhook rotate_webhook test_webhook"
        " deliveries ends replay replay_failed"
    ),
    "tenants": "issue_key keys revoke_key audit_events issue_token usage tenant change_tenant",
    "catalog": (
        "models backgrounds background_keywords thumbnail filters recipes save_recipe delete_recipe"
    ),
    "pictures": "add_picture own_pictures delete_picture",
    "live": "open_live",
}


@dataclass(frozen=True, slots=True)
class Kind:
    """A client: its file, and how its methods run an operation that returns or yields.

    method: the beginning of a method.  listing: what a method with several results returns.
    """

    file: Path
    method: str
    returning: str
    yielding: str
    listing: str


BLOCKING = Kind(
    PACKAGE / "client.py",
    method="def",
    returning="run_operation({})",
    yielding="iterate_operation({})",
    listing="Iterator",
)
AWAITED = Kind(
    PACKAGE / "async_client.py",
    method="async def",
    returning="await {}",
    yielding="{}",
    listing="AsyncGenerator",
)


def generate(kind: Kind) -> str:
    """Return the source of a client."""
    head, mark, _ = kind.file.read_text().partition(_MARK)
    methods = "\n".join(
        _method(kind, module, name)
        for module, names in _OPERATIONS.items()
        for name in names.split()
    )
    return formatted(kind.file, f"{head}{mark}\n{methods}")


def _method(kind: Kind, module: str, name: str) -> str:
    tree = ast.parse((PACKAGE / "operations" / f"{module}.py").read_text())
    [operation] = [
        node
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name
    ]
    takes = operation.args
    takes.args[0] = ast.arg("self")
    given = ["self", *(name.arg for name in takes.args[1:])]
    given += [f"{name.arg}={name.arg}" for name in takes.kwonlyargs]
    gives = ast.unparse(operation.returns or ast.Constant(None))
    is_listing = gives.startswith("AsyncGenerator[")
    returns = gives.replace("AsyncGenerator", kind.listing)
    runs = kind.yielding if is_listing else kind.returning
    call = runs.format(f"operations.{module}.{name}({', '.join(given)})")
    docstring = (ast.get_docstring(operation, clean=False) or "").replace("\n", "\n    ")
    signature = _with_kinds(f"({ast.unparse(takes)}) -> {returns}")
    return (
        f"    {'def' if is_listing else kind.method} {name}{signature}:\n"
        f'        """{docstring}"""\n'
        f"        return {call}\n"
    )


def _with_kinds(signature: str) -> str:
    """Return a signature that names the classes of `models` by the module, imported as `kinds`.

    One import of each would take a tenth of the file.
    """
    names = "|".join(name for name in _exported("models") if name[0].isupper())
    return re.sub(rf"\b({names})\b", r"kinds.\1", signature)


def _exported(package: str) -> list[str]:
    """Return `__all__` of a package, without an import of the files that are written here."""
    tree = ast.parse((PACKAGE / package / "__init__.py").read_text())
    [names] = [node.value for node in tree.body if isinstance(node, ast.Assign)]
    # Parameters are pictures of `operations.photos`; `models` has a class of this name, too.
    return [name for name in ast.literal_eval(names) if name != "Picture"]


def formatted(file: Path, source: str) -> str:
    """Return a source as the formatter writes it."""
    command = [sys.executable, "-m", "ruff", "format", "--stdin-filename", str(file), "-"]
    return subprocess.run(  # noqa: S603  # the formatter of this environment
        command, input=source, capture_output=True, text=True, check=True
    ).stdout


if __name__ == "__main__":
    for each in (BLOCKING, AWAITED):
        each.file.write_text(generate(each))
