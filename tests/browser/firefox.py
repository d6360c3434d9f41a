"""Drive Debian's Firefox with Playwright, through WebDriver BiDi.

Playwright starts this file as its browser. It starts Firefox, and stands between both: commands
that Firefox does not have yet, and that tests do not need, are answered here.
"""

import asyncio
import json
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from playwright.sync_api import Browser, expect, sync_playwright
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve

from smart_filter_deploy.embedded.addresses import LOOPBACK
from smart_filter_tests.browsing.chromium import PATIENCE_MS

_PROGRAM: Final = "firefox-esr"
_ANNOUNCED: Final = re.compile(rb"WebDriver BiDi listening on (ws://\S+)")
# Dark mode is tested in Chromium; less motion is a preference here.
_UNKNOWN: Final = "emulation.setMediaFeaturesOverride"
_PREFERENCES: Final[dict[str, str | float | bool]] = {"ui.prefersReducedMotion": 1}


@contextmanager
def firefox(folder: Path) -> Iterator[Browser]:
    """Yield Firefox.  folder: for the file that starts it.  Raises FileNotFoundError."""
    if shutil.which(_PROGRAM) is None:
        raise FileNotFoundError(f"no Firefox: sudo apt install {_PROGRAM}")
    starter = folder / "firefox"
    # The folder of this package is on the path of pytest only.
    path = f'export PYTHONPATH="{Path(__file__).parents[1]}"'
    starter.write_text(f'#!/bin/sh\n{path}\nexec "{sys.executable}" -m {__name__} "$@"\n')
    starter.chmod(0o755)
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.firefox.launch(
            channel="moz-firefox", executable_path=starter, firefox_user_prefs=_PREFERENCES
        )
        yield browser
        browser.close()


async def _run(arguments: list[str]) -> None:
    """Run Firefox, and a server in front of its own that Playwright finds instead."""
    program = await asyncio.create_subprocess_exec(
        _PROGRAM, *arguments, stderr=asyncio.subprocess.PIPE
    )
    assert program.stderr is not None
    async for line in program.stderr:
        announced = _ANNOUNCED.search(line)
        if announced is not None:
            await _serve(announced[1].decode(), program.stderr)
    await program.wait()


async def _copy(source: ClientConnection, target: ServerConnection) -> None:
    async for message in source:
        await target.send(message)


async def _serve(url: str, log: asyncio.StreamReader) -> None:
    async def relay(client: ServerConnection) -> None:
        assert client.request is not None
        async with connect(url + client.request.path, max_size=None, ping_interval=None) as browser:
            answers = asyncio.create_task(_copy(browser, client))
            async for command in client:
                content = json.loads(command)
                if content.get("method") == _UNKNOWN:
                    done = {"type": "success", "id": content["id"], "result": {}}
                    await client.send(json.dumps(done))
                else:
                    await browser.send(command)
            answers.cancel()

    async with serve(relay, LOOPBACK, 0, max_size=None, ping_interval=None) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        sys.stderr.write(f"WebDriver BiDi listening on ws://{LOOPBACK}:{port}\n")
        sys.stderr.flush()
        async for _ in log:
            pass


if __name__ == "__main__":
    asyncio.run(_run(sys.argv[1:]))
