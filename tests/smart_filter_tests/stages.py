"""The stages by short names."""

from typing import Final

from smart_filter_shared.pipeline import StageName

PREPARE: Final = StageName.PREPARE
SEGMENTATION: Final = StageName.SEGMENTATION
FACE: Final = StageName.FACE
SMILE: Final = StageName.SMILE
COMPOSITE: Final = StageName.COMPOSITE
