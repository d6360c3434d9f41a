"""The client where nothing is installed but httpx."""

import subprocess
import sys

# httpx, and what it brings along.
_HTTPX = "httpx httpcore anyio certifi h11 idna sniffio typing_extensions"
_PROGRAM = f"""
import importlib.abc, sys

class Missing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        top = name.partition(".")[0]
        if top not in {{*sys.stdlib_module_names, *{_HTTPX.split()!r}, "smart_filter_client"}}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
import anyio
from smart_filter_client import AsyncClient, Client, errors, verify_webhook

async def ask():
    async with AsyncClient("http://127.0.0.1:0", attempts=1) as client:
        await client.job("j1")

for attempt in (
    lambda: Client("http://127.0.0.1:0", attempts=1).job("j1"),
    lambda: anyio.run(ask),
    lambda: verify_webhook("whsec_AAAA", {{}}, b""),
):
    try:
        attempt()
    except errors.Error as error:
        print(type(error).__name__)
"""


def test_client_needs_httpx_only() -> None:
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", _PROGRAM],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert ended.stderr == ""
    assert ended.stdout.split() == ["ServerUnreachable", "ServerUnreachable", "NotGenuine"]
