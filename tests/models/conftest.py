"""Fixtures of the models' suites."""

import pytest

from models.small_detectron2 import AdmittedModels, make


@pytest.fixture(scope="session")
def admitted(tmp_path_factory: pytest.TempPathFactory) -> AdmittedModels:
    """Small models of detectron2, admitted to a weights folder."""
    return make(tmp_path_factory.mktemp("detectron2"))
