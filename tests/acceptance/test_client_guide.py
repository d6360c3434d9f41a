"""docs/client.md says what works: its programs run in order, against a whole service."""

import base64
import datetime as dt
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from standardwebhooks import Webhook

from smart_filter_tests.running import KEY, PHOTO, Running

GUIDE = Path(__file__).parents[2] / "docs" / "client.md"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_programs_of_the_guide_run_in_order(
    running_stack: Running,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SMART_FILTER_URL", str(running_stack.client.base_url))
    monkeypatch.setenv("SMART_FILTER_API_KEY", KEY)
    with Image.open(PHOTO) as photo:
        small = photo.convert("RGB").resize((256, 256))
    for name in ("me.jpg", "you.jpg"):
        small.save(name)
    Image.new("RGB", (64, 64), "skyblue").save("sky.png")
    guide = GUIDE.read_text()
    programs = list(BLOCK.finditer(guide))
    known: dict[str, Any] = {"__name__": "guide"}

    for program in programs:
        # Blank lines above, so that a traceback names the guide's own line.
        above = "\n" * (guide[: program.start(1)].count("\n"))
        exec(compile(above + program[1], GUIDE, "exec"), known)  # that is the test

    said = capsys.readouterr().out
    assert len(programs) == guide.count("```python") > 8
    assert said.startswith("succeeded 256 256 17\nno_person - ")
    assert "\nTrue color\n" in said
    assert "job.succeeded" in said
    assert "\n1 " in said
    assert "invalid_recipe [('/background'" in said
    with Image.open("me-navy.jpg") as picture:
        assert picture.size == (256, 256)
    for name in ("me", "you"):
        with Image.open(f"{name}.cut-out.png") as picture:
            assert picture.mode == "RGBA"
    assert receives(known) == 204
    assert receives(known, secret="whsec_" + base64.b64encode(bytes(32)).decode()) == 400


def receives(known: dict[str, Any], *, secret: str | None = None) -> int:
    """Return what the guide's receiver answers to what the reference implementation sends."""
    body = b'{"type":"job.failed","data":{"id":"j","state":"failed"}}'
    now = dt.datetime.now(dt.UTC)
    headers = {
        "webhook-id": "e1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret or known["secret"]).sign("e1", now, body.decode()),
    }
    status: int = known["receive"](headers, body)
    return status
