"""How large a picture of so many pixels may be printed."""

from typing import Final

from smart_filter_shared.printability import Print, PrintSize, Verdict

CM_PER_INCH: Final = 2.54
# Printers' practice: 300 dots per inch look sharp in the hand, 200 at arm's length.
FINE_DPI, COARSE_DPI = 300, 200
# Usual sizes, the smallest first: name, short and long side in centimetres.
PAPERS: Final = (
    ("9×13", 9, 13),
    ("10×15", 10, 15),
    ("13×18", 13, 18),
    ("15×20", 15, 20),
    ("20×30", 20, 30),
    ("A4", 21, 29.7),
    ("30×40", 30, 40),
    ("30×45", 30, 45),
    ("40×60", 40, 60),
    ("50×75", 50, 75),
)
SMALLEST: Final = PAPERS[0][0]
# An album's print: smaller ones at FINE_DPI are fair.
ALBUM: Final = "10×15"


def size(width: int, height: int) -> PrintSize:
    """Say how large a picture of so many pixels may be printed."""
    fine, coarse = (_print(width, height, dpi) for dpi in (FINE_DPI, COARSE_DPI))
    verdict, text = _judged(f"{width} × {height}", fine, coarse)
    return PrintSize(verdict, text, width, height, prints=(fine, coarse))


def _print(width: int, height: int, dpi: int) -> Print:
    short, long = sorted((width, height))
    filled = [
        name
        for name, paper_short, paper_long in PAPERS
        if short >= _px(paper_short, dpi) and long >= _px(paper_long, dpi)
    ]
    return Print(
        dpi=dpi,
        width_cm=round(width / dpi * CM_PER_INCH, 1),
        height_cm=round(height / dpi * CM_PER_INCH, 1),
        width_in=round(width / dpi, 1),
        height_in=round(height / dpi, 1),
        paper=filled[-1] if filled else None,
    )


def _px(centimetres: float, dpi: int) -> int:
    return round(centimetres / CM_PER_INCH * dpi)


def _judged(pixels: str, fine: Print, coarse: Print) -> tuple[Verdict, str]:
    if coarse.paper is None:
        return Verdict.POOR, f"{pixels} pixels are too few for a print of {named(SMALLEST)}."
    if fine.paper is None:
        larger = "larger ones look soft"
        return Verdict.FAIR, f"It prints up to {named(coarse.paper)} at {COARSE_DPI} dpi; {larger}."
    names = [name for name, *_ in PAPERS]
    verdict = Verdict.GOOD if names.index(fine.paper) >= names.index(ALBUM) else Verdict.FAIR
    up_to = f"{named(fine.paper)} at {FINE_DPI} dpi, {named(coarse.paper)} at {COARSE_DPI} dpi"
    return verdict, f"It prints up to {up_to}."


def named(paper: str) -> str:
    """Return a paper's name as people say it, such as `10×15 cm` or `A4`."""
    return f"{paper} cm" if "×" in paper else paper
