"""What the models' suites share."""

import pytest

from smart_filter_tests.small_detectron2 import Made, make


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Small models of detectron2, admitted to a weights folder."""
    return make(tmp_path_factory.mktemp("detectron2"))
