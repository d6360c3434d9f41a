"""Draw the diagrams of the documentation: `python docs/make_diagrams.py`, into docs/images.

Each diagram is on a light card, so it can be read on a dark page too. Colors are the studio's
(api/smart_filter_api/studio/page/styles/tokens.css); lengths are px.
"""
# ruff: noqa: INP001 - this folder of documents is no package

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent / "images"
CARD, LINE, INK, SOFT, ARROW = "#fffdfa", "#e0d7cb", "#1d1814", "#5f554c", "#8f8276"
WASH, ACCENT = "#fbe6dc", "#c23a15"
FONT: Final = "Instrument Sans, system-ui, -apple-system, Segoe UI, sans-serif"
TITLE_PX, NOTE_PX, LEADING_PX = 15, 12, 16

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Box:
    """A box with a title and a note; x, y: its middle."""

    x: float
    y: float
    title: str
    note: str = ""
    width: float = 130
    height: float = 54
    is_ours: bool = False

    def drawn(self) -> str:
        """Return it as SVG."""
        fill, stroke = (WASH, ACCENT) if self.is_ours else (CARD, ARROW)
        left, top = self.x - self.width / 2, self.y - self.height / 2
        notes = self.note.split("\n") if self.note else []
        first = self.y + TITLE_PX * 0.35 - len(notes) * LEADING_PX / 2
        frame = (
            f'<rect x="{left:g}" y="{top:g}" width="{self.width:g}" height="{self.height:g}"'
            f' rx="10" fill="{fill}" stroke="{stroke}" stroke-width="1.5"/>'
        )
        return "".join(
            [
                frame,
                words(self.title, (self.x, first), px=TITLE_PX, weight=600),
                *(
                    words(note, (self.x, first + (row + 1) * LEADING_PX), color=SOFT)
                    for row, note in enumerate(notes)
                ),
            ]
        )


@dataclass(frozen=True, slots=True)
class Arrow:
    """An arrow along some points, with a text.

    at: place of the text on its base line, by `anchor`.
    """

    points: Sequence[Point]
    says: str = ""
    at: Point = (0, 0)
    is_dashed: bool = False
    anchor: str = "middle"

    def drawn(self) -> str:
        """Return it as SVG."""
        path = " L".join(f"{x:g} {y:g}" for x, y in self.points)
        dashes = ' stroke-dasharray="5 4"' if self.is_dashed else ""
        arrow = (
            f'<path d="M{path}" fill="none" stroke="{ARROW}" stroke-width="1.75"'
            f' stroke-linejoin="round"{dashes} marker-end="url(#head)"/>'
        )
        lines = self.says.split("\n") if self.says else []
        return arrow + "".join(
            words(line, (self.at[0], self.at[1] + row * LEADING_PX), color=SOFT, anchor=self.anchor)
            for row, line in enumerate(lines)
        )


@dataclass(frozen=True, slots=True)
class Field:
    """An area around other parts, with its title at the top."""

    left: float
    top: float
    width: float
    height: float
    title: str

    def drawn(self) -> str:
        """Return it as SVG."""
        frame = (
            f'<rect x="{self.left:g}" y="{self.top:g}" width="{self.width:g}"'
            f' height="{self.height:g}" rx="14" fill="none" stroke="{LINE}" stroke-width="1.5"/>'
        )
        place = (self.left + 16, self.top + 24)
        return frame + words(self.title, place, px=13, weight=600, color=SOFT, anchor="start")


@dataclass(frozen=True, slots=True)
class Label:
    """A name next to a row; at: its beginning on the base line."""

    text: str
    at: Point

    def drawn(self) -> str:
        """Return it as SVG."""
        return words(self.text, self.at, px=13, weight=600, color=SOFT, anchor="start")


def words(
    text: str,
    at: Point,
    *,
    px: float = NOTE_PX,
    weight: int = 400,
    color: str = INK,
    anchor: str = "middle",
) -> str:
    """Return a line of text as SVG; at: its place on the base line, by `anchor`."""
    return (
        f'<text x="{at[0]:g}" y="{at[1]:g}" font-size="{px:g}" font-weight="{weight}"'
        f' fill="{color}" text-anchor="{anchor}">{escape(text)}</text>'
    )


def save(
    name: str, size: Point, description: str, parts: Iterable[Box | Arrow | Field | Label]
) -> None:
    """Write a diagram as SVG; description: its alternative text."""
    width, height = size
    (FOLDER / f"{name}.svg").write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}"'
        f' font-family="{FONT}" role="img" aria-label="{escape(description)}">\n'
        f'<defs><marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7"'
        f' markerHeight="7" orient="auto-start-reverse"><path d="M0 0 10 5 0 10z" fill="{ARROW}"/>'
        f"</marker></defs>\n"
        f'<rect x=".75" y=".75" width="{width - 1.5:g}" height="{height - 1.5:g}" rx="16"'
        f' fill="{CARD}" stroke="{LINE}" stroke-width="1.5"/>\n'
        + "\n".join(part.drawn() for part in parts)
        + "\n</svg>\n"
    )


def flow() -> None:
    """Draw the path of a photo through the service."""
    save(
        "flow",
        (980, 400),
        "The path of a photo: the API stores it, writes a job with stages, and rings; workers claim"
        " stages, store artifacts, and complete them; the client polls, follows events, or receives"
        " a webhook.",
        (
            Field(606, 30, 350, 340, "workers, a pool for each stage"),
            Box(86, 150, "client", "app, studio,\ncommand", height=72),
            Box(256, 150, "API", "FastAPI", is_ours=True, width=110),
            Box(460, 76, "S3", "photos, pictures", width=150),
            Box(460, 200, "PostgreSQL", "state: jobs, stages", width=170),
            Box(460, 324, "Redis", "the doorbell", width=150),
            Box(256, 324, "sender", "webhooks", is_ours=True, width=110),
            Box(694, 120, "prepare", is_ours=True, width=120, height=44),
            Box(868, 120, "segmentation", is_ours=True, height=44),
            Box(694, 208, "face", is_ours=True, width=120, height=44),
            Box(868, 208, "smile", is_ours=True, height=44),
            Box(868, 304, "composite", is_ours=True, height=44),
            Arrow(((151, 140), (199, 140)), "photo", (175, 130)),
            Arrow(((201, 162), (153, 162)), "result", (175, 182)),
            Arrow(((290, 123), (290, 76), (383, 76)), "1 photo", (336, 66)),
            Arrow(((312, 164), (345, 164), (345, 190), (373, 190)), "2 job", (348, 156)),
            Arrow(((290, 177), (290, 262), (460, 262), (460, 295)), "3 ring", (338, 254)),
            Arrow(((536, 324), (604, 324)), "wakes", (571, 314)),
            Arrow(((604, 190), (547, 190)), "claim", (576, 180)),
            Arrow(((604, 212), (547, 212)), "complete", (575, 231)),
            Arrow(((604, 76), (537, 76)), "artifacts", (571, 66)),
            Arrow(((373, 212), (240, 212), (240, 295)), is_dashed=True),
            Arrow(
                ((200, 324), (86, 324), (86, 188)), "the job has ended", (104, 346), is_dashed=True
            ),
            Arrow(((755, 120), (801, 120))),
            Arrow(((694, 143), (694, 184))),
            Arrow(((755, 208), (801, 208))),
            Arrow(((934, 120), (946, 120), (946, 304), (935, 304))),
            Arrow(((868, 231), (868, 280))),
        ),
    )


def states() -> None:
    """Draw the states of a stage."""
    save(
        "stage-states",
        (980, 300),
        "A stage waits, is ready, runs and succeeds; a lost lease or a failure returns it to"
        " waiting while attempts remain; it can also fail or be canceled.",
        (
            Box(110, 150, "waiting", "for other stages or a time", width=180),
            Box(350, 150, "ready", "a ring was sent", width=130),
            Box(590, 150, "running", "under a lease", width=140, is_ours=True),
            Box(860, 66, "succeeded", width=150),
            Box(860, 150, "failed", "no attempts left", width=150),
            Box(860, 234, "canceled", width=150),
            Arrow(((201, 150), (283, 150)), "needs met", (242, 140)),
            Arrow(((416, 150), (518, 150)), "claim", (467, 140)),
            Arrow(((640, 122), (680, 66), (783, 66)), "complete, with its token", (690, 48)),
            Arrow(((661, 150), (783, 150)), "fail", (722, 140)),
            Arrow(((640, 178), (680, 234), (783, 234)), "the owner cancels", (690, 258)),
            Arrow(
                ((570, 122), (540, 60), (150, 60), (120, 121)),
                "retry, lease lost, infrastructure down",
                (345, 50),
                is_dashed=True,
            ),
            Arrow(
                ((575, 178), (545, 240), (385, 240), (360, 179)),
                "released by the worker",
                (465, 260),
                is_dashed=True,
            ),
        ),
    )


def learning() -> None:
    """Draw how corrections improve models."""
    save(
        "learning-loop",
        (980, 250),
        "Corrections with consent become a data set; training makes a candidate, which is measured"
        " against the live version, and promoted by an operator; deletions reach every version.",
        (
            Box(100, 96, "correction", "with consent", width=150),
            Box(290, 96, "data set", "versioned; a part\nis held out", width=160, height=72),
            Box(480, 96, "training", "on your machine", width=140, is_ours=True),
            Box(670, 96, "candidate", "measured next\nto the live one", width=140, height=72),
            Box(860, 96, "live", "its digest is\nin every job", width=150, height=72),
            Arrow(((176, 96), (208, 96))),
            Arrow(((371, 96), (408, 96))),
            Arrow(((551, 96), (598, 96))),
            Arrow(((741, 96), (783, 96))),
            Box(860, 200, "previous", "kept", width=150),
            Arrow(((860, 171), (860, 133)), "rollback", (852, 156), anchor="end"),
            Box(100, 190, "deletion", "of a job", width=150),
            Arrow(
                ((176, 190), (290, 190), (290, 134)),
                "out of every version",
                (186, 212),
                anchor="start",
            ),
            Arrow(
                ((860, 59), (860, 38), (100, 38), (100, 67)),
                "users correct errors",
                (480, 30),
            ),
        ),
    )


def fairness() -> None:
    """Draw the order of two tenants' jobs in one queue."""
    left, width, gap = 190, 84, 8
    many = [
        Box(left + width / 2 + turn * (width + gap), 80, f"A{turn + 1}", width=width, height=40)
        for turn in range(8)
    ]
    ranks = [
        Box(
            left + width / 2 + turn * (width + gap),
            210,
            name,
            width=width,
            height=40,
            is_ours=name.startswith("B"),
        )
        for turn, name in enumerate(("A1", "A2", "A3", "B1", "A4", "B2", "A5", "A6"))
    ]
    come = left + 3 * (width + gap)
    save(
        "fairness",
        (980, 290),
        "Tenant A has submitted many photos, and tenant B submits two later: B's first photo is"
        " claimed next, its second after one more of A.",
        (
            Label("tenant A", (30, 85)),
            Label("tenant B", (30, 147)),
            Label("claimed in this order", (30, 215)),
            *many,
            Box(come + width / 2, 142, "B1", width=width, height=40, is_ours=True),
            Box(come + 1.5 * width + gap, 142, "B2", width=width, height=40, is_ours=True),
            *ranks,
            Arrow(((left, 252), (932, 252)), "rank: virtual time, in model seconds", (561, 274)),
        ),
    )


def deployment() -> None:
    """Draw the services on one machine, and the connections that are allowed."""
    save(
        "deployment",
        (980, 525),
        "Clients reach the API, live video and pictures through ports of this machine. Workers with"
        " models reach only the servers; prepare fetches photos, the sender calls webhooks. The"
        " servers' network has no way out. Prometheus scrapes; a collector receives traces.",
        (
            Field(188, 44, 354, 330, "services: any number of each"),
            Field(200, 76, 330, 156, "with internet access"),
            Field(200, 246, 330, 112, "models: access to servers only"),
            Field(640, 44, 290, 330, "network servers: no way out"),
            Field(188, 400, 742, 106, "profiles observability, alerts"),
            Box(82, 130, "clients", "via your proxy", width=120),
            Box(285, 130, "api", is_ours=True, height=40),
            Box(285, 195, "live", "no server access", is_ours=True, height=48),
            Box(445, 130, "prepare", is_ours=True, height=40),
            Box(445, 195, "sender", is_ours=True, height=40),
            Box(276, 314, "segmentation", is_ours=True, width=132, height=40),
            Box(394, 314, "face", is_ours=True, width=76, height=40),
            Box(480, 314, "smile", is_ours=True, width=76, height=40),
            Box(82, 310, "internet", width=120),
            Box(785, 120, "postgres", "rows", width=220),
            Box(785, 210, "valkey", "doorbell", width=220),
            Box(785, 300, "storage", "pictures, S3", width=220),
            Box(82, 464, "you", width=120),
            Box(268, 464, "alertmanager", width=132, height=40),
            Box(418, 464, "prometheus", width=116, height=40),
            Box(558, 464, "grafana", width=96, height=40),
            Box(692, 464, "jaeger", width=96, height=40),
            Box(844, 464, "collector", width=116, height=40),
            Arrow(((143, 122), (218, 122)), "8000", (168, 114)),
            Arrow(((143, 140), (172, 140), (172, 195), (218, 195)), "8090", (154, 188)),
            Arrow(
                ((82, 101), (82, 28), (958, 28), (958, 300), (897, 300)),
                "pictures, through signed links: 8333",
                (520, 21),
            ),
            Arrow(
                ((200, 222), (82, 222), (82, 281)), "photos,\nwebhooks", (92, 246), anchor="start"
            ),
            Arrow(((543, 205), (638, 205)), "rows, rings,\npictures", (591, 181)),
            Arrow(((418, 443), (418, 376)), "scrapes api, live", (428, 391), anchor="start"),
            Arrow(((530, 375), (530, 386), (844, 386), (844, 442)), "traces", (866, 420)),
            Arrow(((143, 464), (186, 464)), "3000", (164, 456)),
            Arrow(((359, 464), (336, 464))),
            Arrow(((509, 464), (478, 464))),
            Arrow(((607, 464), (642, 464))),
            Arrow(((785, 464), (742, 464))),
        ),
    )


if __name__ == "__main__":
    deployment()
    fairness()
    flow()
    states()
    learning()
