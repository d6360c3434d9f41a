"""How long tests wait for what has to happen: guards against hangs, which measure nothing."""

from typing import Final

# Far more than any wait takes on a busy machine. Less than `timeout` in pyproject.toml, so that a
# hang fails with the condition that did not come true.
PATIENCE_SECONDS: Final = 600.0
