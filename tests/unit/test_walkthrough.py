"""How pages are read that tell people what to type."""

import pytest

from smart_filter_tests import walkthrough

PAGE = """# A page

```sh
make run
```

```output
done in … s
…
all of it
```

Then, elsewhere:

```sh title="a terminal of its own"
serve
```

```python
print(1)
```
"""


def test_blocks_come_in_order_with_their_output() -> None:
    found = walkthrough.blocks(PAGE)

    assert [
        (one.language, one.code, one.line, one.stays, one.prints is not None) for one in found
    ] == [
        ("sh", "make run\n", 4, False, True),
        ("sh", "serve\n", 16, True, False),
        ("python", "print(1)\n", 20, False, False),
    ]


@pytest.mark.parametrize(
    "page",
    [
        *("Type:\n\n    make run\n", "```\nmake run\n```\n", "```javascript\nrun()\n```\n"),
    ],
)
def test_code_that_would_not_be_run_is_refused(page: str) -> None:
    with pytest.raises(ValueError, match=r"indented|language|knows"):
        walkthrough.blocks(page)


@pytest.mark.parametrize(
    ("printed", "is_shown"),
    [
        ("before\ndone in 3.1 s\nx\ny\nall of it\nafter", True),
        ("done in 3.1 s\nall of it", True),
        ("done in 3.1 s\nall of it but", False),
        ("all of it\ndone in 3.1 s", False),
        ("done\nall of it", False),
    ],
)
def test_lines_are_compared_up_to_their_ellipses(printed: str, *, is_shown: bool) -> None:
    expected = "done in … s\n…\nall of it\n"

    assert walkthrough.shows(printed, expected) == is_shown
