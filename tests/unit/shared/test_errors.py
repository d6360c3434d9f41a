import pickle

import pytest

from smart_filter_shared.errors import (
    Error,
    ImageUnreadable,
    LeaseLost,
    ModelNotLoaded,
    PhotoUnreachable,
    PictureTemporarilyUnreachable,
    StorageUnavailable,
)


@pytest.mark.parametrize(
    "error",
    [
        ImageUnreadable("cut short"),
        LeaseLost("face of a job"),
        ModelNotLoaded("no torch here", leads=True, capability="segmentation.unet"),
        PhotoUnreachable("its server answers 404"),
        PictureTemporarilyUnreachable("its server answers 503"),
        StorageUnavailable("a key"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_error_of_a_child_process_keeps_its_type_and_message(error: Error) -> None:
    arrived = pickle.loads(pickle.dumps(error))

    assert (type(arrived), str(arrived)) == (type(error), str(error))
    assert vars(arrived) == vars(error)
