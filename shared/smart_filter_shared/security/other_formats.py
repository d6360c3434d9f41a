"""Name the formats that are not accepted, and what to save such a file as."""

from typing import Final

_VECTOR = "export it as PNG"
RAW = "a camera's raw file; export it as JPEG or TIFF"
_PLAIN = "save it as JPEG or PNG"
_VIDEO = "a video; send a still picture of it"
_WEB_PAGE = "a web page; send the picture itself"
_STARTS: Final = {
    b"%PDF": f"a PDF; {_VECTOR}",
    b"PK\x03\x04": "a zip file; send each photo of it",
    b"<svg": f"an SVG; {_VECTOR}",
    b"<?xml": f"XML or an SVG; {_VECTOR}",
    b"\0\0\0\x0cjP  ": f"a JPEG 2000; {_PLAIN}",
    b"\xff\x4f\xff\x51": f"a JPEG 2000; {_PLAIN}",
    b"\0\0\0\x0cJXL ": f"a JPEG XL; {_PLAIN}",
    b"\xff\x0a": f"a JPEG XL; {_PLAIN}",
    b"\xff\xd8\xff\xf7": f"a JPEG-LS; {_PLAIN}",
    b"\0\0\1\0": "an ICO; save it as PNG",
    # TGA: color or gray, plain or compressed; the number of pictures in a cursor is never 0.
    **{bytes((0, 0, kind, 0, 0, 0, 0, 0)): f"a TGA; {_PLAIN}" for kind in (2, 3, 10, 11)},
    b"\0\0\2\0": "a cursor; save it as PNG",
    **{b"P%d%c" % (kind, end): f"a PNM; {_PLAIN}" for kind in range(1, 7) for end in b"\n\r\t #"},
    b"P7\n": f"a PAM; {_PLAIN}",
    b"qoif": f"a QOI; {_PLAIN}",
    b"DDS ": f"a DDS; {_PLAIN}",
    b"\x1a\x45\xdf\xa3": _VIDEO,
    b"<!doctype html": _WEB_PAGE,
    b"<html": _WEB_PAGE,
    b"8BPS": f"a Photoshop document; {_PLAIN}",
    b"gimp xcf": "a GIMP document; export it as JPEG or PNG",
    b"II+\0": "a BigTIFF; save it as TIFF or PNG",
    b"MM\0+": "a BigTIFF; save it as TIFF or PNG",
    b"\x76\x2f\x31\x01": f"an OpenEXR; {_PLAIN}",
    b"#?RADIANCE": f"a Radiance HDR; {_PLAIN}",
    b"FUJIFILMCCD-RAW": RAW,
    b"IIRO": RAW,
    b"IIRS": RAW,
    b"MMOR": RAW,
    b"IIU\0": RAW,
    b"\0MRM": RAW,
    b"FOVb": RAW,
}
_JPEG: Final = b"\xff\xd8\xff"
# A byte order mark, or the end of a line or a header.
_MAX_STRAY_BYTES: Final = 4
_BRANDS: Final = {
    b"crx ": RAW,
    b"jxl ": f"a JPEG XL; {_PLAIN}",
    b"jp2 ": f"a JPEG 2000; {_PLAIN}",
}


def describe(start: bytes) -> str:
    """Return the name of a file's format by its first bytes, and what to do if that is known."""
    if start[4:8] == b"ftyp":
        return _BRANDS.get(start[8:12], _VIDEO)
    if _JPEG in start[1 : _MAX_STRAY_BYTES + len(_JPEG)]:
        return "a JPEG behind other bytes; send it without them"
    if start[:4] == b"RIFF" and start[8:12] == b"AVI ":
        return _VIDEO
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    # Binary starts may begin with what is a space in text.
    for content in (start, text):
        for magic, name in _STARTS.items():
            if content.startswith(magic):
                return name
    return "not a picture"
