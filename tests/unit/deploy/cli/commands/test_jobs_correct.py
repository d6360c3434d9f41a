"""`smart-filter jobs correct` refuses what it does not understand, without a server."""

import pytest

from smart_filter_tests.commands import Command


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "give one kind of correction"),
        (["--remove-face", "1", "--restore-faces"], "give one kind of correction"),
        (["--remove-face", "0"], "0 is not in the range"),
        (["--add-face", "1,2,3"], "'1,2,3' is not X,Y,WIDTH,HEIGHT"),
        (["--add-face", "1,2,3,nan"], "is not X,Y,WIDTH,HEIGHT"),
        (["--label", "smile=huge"], "is not FACE:KEY=VALUE"),
        (["--label", "1:smile=wide"], "smiles are none, mild, moderate, huge"),
        (["--label", "1:left-eye=huge"], "open or closed"),
        (["--label", "1:mouth=open"], "is not FACE:KEY=VALUE"),
        (["--label", "1:"], "is not FACE:KEY=VALUE"),
    ],
)
def test_unclear_correction_is_wrong_usage(
    capsys: pytest.CaptureFixture[str], options: list[str], said: str
) -> None:
    assert said in Command(capsys).usage_error("jobs", "correct", "ID", *options)
