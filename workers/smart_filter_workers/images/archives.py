"""Archives: several files in one zip, always the same bytes for the same files."""

import io
import zipfile
from collections.abc import Mapping
from typing import Final

# The earliest date of the zip format; the true date would change the bytes each time.
_FIXED_DATE: Final = (1980, 1, 1, 0, 0, 0)
_FILE_MODE: Final = 0o644 << 16


def make_zip(files: Mapping[str, bytes]) -> bytes:
    """Return a zip of files by name, uncompressed, because pictures do not compress further."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as packed:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, _FIXED_DATE)
            entry.external_attr = _FILE_MODE
            packed.writestr(entry, content)
    return buffer.getvalue()
