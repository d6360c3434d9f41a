"""PNG and AVIF files that describe their colors by numbers."""

import struct

import cv2
import numpy as np
from numpy.typing import NDArray

from smart_filter_tests.pictures import chunk


def a_png(samples: NDArray[np.unsignedinteger], *chunks: tuple[bytes, bytes]) -> bytes:
    """Return a PNG of (H, W) or (H, W, 3), RGB, with more chunks."""
    ok, plain = cv2.imencode(".png", samples[..., ::-1] if samples.ndim == 3 else samples)
    assert ok
    inside = b"".join(chunk(*described) for described in chunks)
    return plain.tobytes()[:33] + inside + plain.tobytes()[33:]


def cicp(primaries: int, transfer: int) -> tuple[bytes, bytes]:
    """Return the chunk of RGB samples in full range. Source: third edition of PNG, 11.3.2.6."""
    return b"cICP", bytes((primaries, transfer, 0, 1))


def an_avif(
    samples: NDArray[np.unsignedinteger], bits: int, primaries: int, transfer: int
) -> bytes:
    """Return an AVIF of (H, W, 3), RGB, whose box nclx holds these numbers of ITU-T H.273."""
    options = [cv2.IMWRITE_AVIF_QUALITY, 100, cv2.IMWRITE_AVIF_DEPTH, bits]
    ok, plain = cv2.imencode(".avif", samples[..., ::-1], options)
    assert ok
    at = plain.tobytes().index(b"nclx") + 4
    return (
        plain.tobytes()[:at] + struct.pack(">HH", primaries, transfer) + plain.tobytes()[at + 4 :]
    )
