"""A process that decodes pictures and can do nothing else; `decoder.entry` starts it.

It has a clean environment and one socket. It uses each decoder once, locks itself, and then answers
requests until the socket ends.  Messages: `decoder.answers`.
"""

import contextlib
import io
import json
import resource
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from PIL import ExifTags, Image, PngImagePlugin

from smart_filter_shared.child_processes import serving
from smart_filter_shared.errors import ImageTooLarge, ImageUnreadable
from smart_filter_workers import images
from smart_filter_workers.decoder.answers import MESSAGE_BYTES, pack_message
from smart_filter_workers.images.metadata.icc_profiles import srgb_profile
from smart_filter_workers.results import Photo
from smart_filter_workers.system import resources, sandbox

# Above the size of the idle process. 50 megapixels of animated WebP need just under 1.2 GB, the
# most of all formats (docs/measurements.md).
_MAX_MEMORY_BYTES: Final = 1500 * 1024 * 1024
# The standard streams, the socket, and Landlock's rules until they are set.
_MAX_OPEN_FILES: Final = 5
# Characters; each may take 12 bytes of MESSAGE_BYTES.
_MAX_MESSAGE_LENGTH: Final = 300
# Modes and formats that use different modules.
_WARM_UP: Final = (
    ("CMYK", "JPEG"),
    ("L", "JPEG"),
    ("RGB", "JPEG"),
    ("RGBA", "PNG"),
    ("P", "PNG"),
    ("I;16", "PNG"),
    ("RGBA", "WEBP"),
    ("P", "GIF"),
    ("RGB", "BMP"),
    ("RGB", "TIFF"),
    ("CMYK", "TIFF"),
    ("I;16", "TIFF"),
    ("RGB", "AVIF"),
)
_SIDE_PX: Final = 16
# The start of a HEIC: an attempt to read it loads libheif, if that is installed.
_HEIC: Final = b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic"


def serve(parent: socket.socket) -> None:
    """Answer the requests of the parent until it closes the socket."""
    with parent.makefile("rb") as reader:
        resources.configure_malloc()
        resources.limit_native_threads()
        _warm_up()
        parent.sendall(pack_message({"missing": lock()}))
        while message := reader.read(MESSAGE_BYTES):
            request = json.loads(message)
            for part in answer(request, reader.read(request["bytes"])):
                parent.sendall(part)


def lock() -> list[str]:
    """Give up all rights of this process; return a reason for each lock that is not available."""
    _limit_resources()
    return [
        reason
        for reason in (sandbox.restrict_files(), sandbox.restrict_calls())
        if reason is not None
    ]


def answer(request: Mapping[str, object], content: bytes) -> Sequence[bytes | memoryview]:
    """Return the parts of the answer to a request for the picture in these bytes."""
    try:
        # When the parent has ended, it cannot end a decoder that hangs.
        signal.setitimer(signal.ITIMER_REAL, float(str(request["seconds"])))
        if request["kind"] == "mask":
            return _describe(Photo(images.decode_mask(content), "png"))
        return _describe(images.decode(content))
    except ImageUnreadable as error:
        return _failure("unreadable", str(error))
    except ImageTooLarge as error:
        return _failure("too_large", str(error))
    except MemoryError:
        return _failure("out_of_memory", "")
    except Exception as error:  # noqa: BLE001 - the top of this process; the parent reports it
        return _failure("defect", f"{type(error).__name__}: {error}")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _limit_resources() -> None:
    limits = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_NOFILE: _MAX_OPEN_FILES,
    }
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        limits[resource.RLIMIT_AS] = pages * resource.getpagesize() + _MAX_MEMORY_BYTES
    serving.set_limits(limits)


def _warm_up() -> None:
    """Decode a picture of each format, so that every module and table is loaded."""
    about: dict[str, object] = {"exif": _exif(), "icc_profile": srgb_profile()}
    for mode, name in _WARM_UP:
        file = io.BytesIO()
        options = {"compression": "tiff_lzw"} if name == "TIFF" else about
        Image.new(mode, (_SIDE_PX, _SIDE_PX)).save(file, name, **options)
        images.decode(file.getvalue())
    hdr, chunks = io.BytesIO(), PngImagePlugin.PngInfo()
    chunks.add(b"cICP", bytes((9, 16, 0, 1)))  # BT.2020 and PQ
    Image.new("I;16", (_SIDE_PX, _SIDE_PX), 50_000).save(hdr, "PNG", pnginfo=chunks)
    images.decode(hdr.getvalue())
    mask = io.BytesIO()
    Image.new("L", (_SIDE_PX, _SIDE_PX)).save(mask, "PNG")
    images.decode(mask.getvalue())
    images.decode_mask(mask.getvalue())
    for broken in (b"", file.getvalue()[:100], _HEIC):
        with contextlib.suppress(ImageUnreadable):
            images.decode(broken)


def _exif() -> bytes:
    """Return EXIF of a photo that lies on its side and names the time when it was taken."""
    tags = Image.Exif()
    tags[ExifTags.Base.Orientation] = 6
    camera = tags.get_ifd(ExifTags.IFD.Exif)
    camera[ExifTags.Base.DateTimeOriginal] = "2001:02:03 04:05:06"
    return tags.tobytes()


def _describe(picture: Photo) -> Sequence[bytes | memoryview]:
    height, width, *channels = picture.srgb.shape
    fields = {
        "height": height,
        "width": width,
        "channels": channels[0] if channels else 1,
        "alpha": picture.alpha is not None,
        "format": picture.format,
        "exif_bytes": len(picture.exif),
        "taken_at": None if picture.taken_at is None else picture.taken_at.isoformat(),
        "quantum": picture.quantum,
    }
    planes = [pixels for pixels in (picture.srgb, picture.alpha) if pixels is not None]
    return (
        pack_message(fields),
        *(np.ascontiguousarray(plane).data for plane in planes),
        picture.exif,
    )


def _failure(error: str, message: str) -> Sequence[bytes]:
    return [pack_message({"error": error, "message": message[:_MAX_MESSAGE_LENGTH]})]
