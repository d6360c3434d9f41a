"""Filters, from the form to the picture."""

import numpy as np
from PIL import Image

from smart_filter_tests.running import PHOTO, Running


def test_filters_are_drawn_and_said(running_stack: Running) -> None:
    """She smiles and looks into the camera; nothing but her hat and glasses changes."""
    job = running_stack.run(
        background="keep", format="png", filters="hat,glasses", filters__glasses__kind="shades"
    )

    assert job["filters"] == [
        {
            "name": "hat",
            "applied": True,
            "reason": "a party hat on the face; cut off at the upper border",
        },
        {"name": "glasses", "applied": True, "reason": "shades on the face"},
    ]
    assert [stage["name"] for stage in job["stages"]] == ["prepare", "composite"]
    photo = np.asarray(Image.open(PHOTO).convert("RGB")).astype(int)
    seen = running_stack.pixels(job["id"]).astype(int)
    # Her eyes are at 206 and 240, 113; her suit is below.
    assert seen[105:120, 200:250].mean() < photo[105:120, 200:250].mean() - 40
    assert np.array_equal(seen[200:], photo[200:])


def test_smiles_decide_when_a_filter_goes_by_them(running_stack: Running) -> None:
    job = running_stack.run(background="keep", filters="sparkle,grade")

    assert job["faces"][0]["smile"]["level"] != "none"
    assert [one["applied"] for one in job["filters"]] == [True, True]
    assert "joyful" in job["filters"][1]["reason"]
