"""Write the methods of the blocking client, one for each operation of AsyncClient.

    make client

Each has the parameters and the docstring of its operation, and runs it. A test compares the file.
"""

import ast
import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).parent / "smart_filter_client"
CLIENT = PACKAGE / "client.py"
_MARK = "    # client/generate_client.py writes the methods below: change the operations instead.\n"


def generate() -> str:
    """Return the source of the blocking client."""
    head, mark, _ = CLIENT.read_text().partition(_MARK)
    methods = "\n".join(_method(name, place) for name, place in _operations())
    return _formatted(f"{head}{mark}\n{methods}")


def _operations() -> list[tuple[str, str]]:
    """Return the methods of AsyncClient that are operations: `submit`, `operations.jobs.submit`."""
    tree = ast.parse((PACKAGE / "async_client.py").read_text())
    [client] = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    return [
        (ast.unparse(node.targets[0]), ast.unparse(node.value))
        for node in client.body
        if isinstance(node, ast.Assign)
    ]


def _method(name: str, place: str) -> str:
    _, module, function = place.split(".")
    tree = ast.parse((PACKAGE / "operations" / f"{module}.py").read_text())
    [operation] = [
        node
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == function
    ]
    takes = operation.args
    takes.args[0] = ast.arg("self")
    given = ["self", *(one.arg for one in takes.args[1:])]
    given += [f"{one.arg}={one.arg}" for one in takes.kwonlyargs]
    gives = ast.unparse(operation.returns or ast.Constant(None))
    is_listing = gives.startswith("AsyncGenerator[")
    returns = gives.replace("AsyncGenerator", "Iterator")
    runs = "iterate_operation" if is_listing else "run_operation"
    docstring = (ast.get_docstring(operation, clean=False) or "").replace("\n", "\n    ")
    return (
        f"    def {name}({ast.unparse(takes)}) -> {returns}:\n"
        f'        """{docstring}"""\n'
        f"        return {runs}({place}({', '.join(given)}))\n"
    )


def _formatted(source: str) -> str:
    command = [sys.executable, "-m", "ruff", "format", "--stdin-filename", str(CLIENT), "-"]
    return subprocess.run(  # noqa: S603  # the formatter of this environment
        command, input=source, capture_output=True, text=True, check=True
    ).stdout


if __name__ == "__main__":
    CLIENT.write_text(generate())
