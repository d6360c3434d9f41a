"""Name the formats that are not accepted, and what to save such a file as."""

from typing import Final

_VECTOR = "export it as PNG"
RAW = "a camera's raw file; export it as JPEG or TIFF"
_STARTS: Final = {
    b"%PDF": f"a PDF; {_VECTOR}",
    b"PK\x03\x04": "a zip file; send each photo of it",
    b"<svg": f"an SVG; {_VECTOR}",
    b"<?xml": f"XML or an SVG; {_VECTOR}",
    b"\0\0\0\x0cjP  ": "a JPEG 2000; save it as JPEG or PNG",
    b"\xff\x4f\xff\x51": "a JPEG 2000; save it as JPEG or PNG",
    b"\0\0\0\x0cJXL ": "a JPEG XL; save it as JPEG or PNG",
    b"\xff\x0a": "a JPEG XL; save it as JPEG or PNG",
    b"\xff\xd8\xff\xf7": "a JPEG-LS; save it as JPEG or PNG",
    b"\0\0\1\0": "an ICO; save it as PNG",
    b"\0\0\2\0": "a cursor; save it as PNG",
    b"8BPS": "a Photoshop document; save it as JPEG or PNG",
    b"gimp xcf": "a GIMP document; export it as JPEG or PNG",
    b"II+\0": "a BigTIFF; save it as TIFF or PNG",
    b"MM\0+": "a BigTIFF; save it as TIFF or PNG",
    b"\x76\x2f\x31\x01": "an OpenEXR; save it as JPEG or PNG",
    b"#?RADIANCE": "a Radiance HDR; save it as JPEG or PNG",
    b"FUJIFILMCCD-RAW": RAW,
    b"IIRO": RAW,
    b"IIRS": RAW,
    b"MMOR": RAW,
    b"IIU\0": RAW,
    b"\0MRM": RAW,
    b"FOVb": RAW,
}
_BRANDS: Final = {
    b"crx ": RAW,
    b"jxl ": "a JPEG XL; save it as JPEG or PNG",
    b"jp2 ": "a JPEG 2000; save it as JPEG or PNG",
}


def describe(start: bytes) -> str:
    """Return the name of a file's format by its first bytes, and what to do if that is known."""
    if start[4:8] == b"ftyp":
        return _BRANDS.get(start[8:12], "a video; send a still picture of it")
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    # Binary starts may begin with what is a space in text.
    for content in (start, text):
        for magic, name in _STARTS.items():
            if content.startswith(magic):
                return name
    return "not a picture"
