"""Paper sizes: how large a picture may be printed, by its pixels."""

from typing import Final

from smart_filter_wire.printability import Print, PrintSize, Verdict

CM_PER_INCH: Final = 2.54
# Printers' practice: 300 dots per inch look sharp in the hand, 200 at arm's length.
FINE_DPI, COARSE_DPI = 300, 200
# Common sizes, the smallest first: name, short and long side in centimeters.
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
SMALLEST_PAPER: Final = PAPERS[0][0]
# The usual size of a print in an album: smaller ones at FINE_DPI are fair.
ALBUM_PAPER: Final = "10×15"
# Share of a picture's pixels along a side: with less real detail, its edges are called soft.
SOFT_BELOW: Final = 0.9


def judge_size(
    width: int,
    height: int,
    *,
    photo: tuple[int, int] | None = None,
    picture: tuple[int, int] | None = None,
    detail: float = 1.0,
) -> PrintSize:
    """Return how large a picture of this many pixels, none of them enlarged, may be printed.

    photo: the part of the pixels that shows the photo, width and height; None: all.  A background
        beyond the photo makes the print larger, but no finer.
    picture: width and height of the picture's file, which may be enlarged; None: not.
    detail: share of the pixels along a side that its edges resolve, above 0 to 1.
    """
    photo = photo or (width, height)
    resolved = round(detail * width), round(detail * height)
    fine, coarse = (_print(*resolved, dpi) for dpi in (FINE_DPI, COARSE_DPI))
    is_large_enough = _print(width, height, COARSE_DPI).paper is not None
    verdict, text = _judge(photo, detail, fine, coarse, is_large_enough=is_large_enough)
    picture = picture or (width, height)
    if photo != picture:
        given = _format_pixels(photo)
        text += f" It has {_format_pixels(picture)} pixels; the photo gives {given}."
    return PrintSize(verdict, text, *photo, (fine, coarse), detail=round(detail, 2))


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


def _px(centimeters: float, dpi: int) -> int:
    return round(centimeters / CM_PER_INCH * dpi)


def _judge(
    pixels: tuple[int, int], detail: float, fine: Print, coarse: Print, *, is_large_enough: bool
) -> tuple[Verdict, str]:
    """Return the verdict and its text; is_large_enough: whether sharp pixels would suffice."""
    shown = round(detail * pixels[0]), round(detail * pixels[1])
    # Ignore a small loss of detail.
    is_soft = shown[0] < SOFT_BELOW * pixels[0]
    too_soft = f", as its edges are soft for {_format_pixels(pixels)} pixels" if is_soft else ""
    if coarse.paper is None:
        few = f"too few for a print of {format_paper(SMALLEST_PAPER)}"
        if is_large_enough:
            soft = (
                f"{_format_pixels(pixels)} pixels show no more than {_format_pixels(shown)} would"
            )
            return Verdict.POOR, f"Its edges are soft: its {soft}, {few}."
        return Verdict.POOR, f"{_format_pixels(pixels)} pixels are {few}."
    if fine.paper is None:
        larger = "larger ones look soft"
        up_to = f"{format_paper(coarse.paper)} at {COARSE_DPI} dpi"
        return Verdict.FAIR, f"It prints up to {up_to}; {larger}{too_soft}."
    names = [name for name, *_ in PAPERS]
    verdict = Verdict.GOOD if names.index(fine.paper) >= names.index(ALBUM_PAPER) else Verdict.FAIR
    up_to = f"{format_paper(fine.paper)} at {FINE_DPI} dpi"
    up_to_coarse = f"{format_paper(coarse.paper)} at {COARSE_DPI} dpi"
    return verdict, f"It prints up to {up_to}, {up_to_coarse}{too_soft}."


def _format_pixels(pixels: tuple[int, int]) -> str:
    return f"{pixels[0]} × {pixels[1]}"


def format_paper(paper: str) -> str:
    """Return a paper's name with its unit, such as `10×15 cm` or `A4`."""
    return f"{paper} cm" if "×" in paper else paper
