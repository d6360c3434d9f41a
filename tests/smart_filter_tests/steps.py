"""What the stateful test of transitions draws its steps from."""

from hypothesis import strategies as st

from smart_filter_shared.ids import Tenant
from smart_filter_shared.recipe import Background, BackgroundKind, Output, Recipe
from smart_filter_tests.bench import TENANT

LATER_SECONDS = 3600.0
# More than any lease, delay or patience, which dwarf in turn what an example takes.
STEP_SECONDS = 4000.0
LEASE_SECONDS = 3000.0
RECIPES = (
    Recipe(background=Background(BackgroundKind.KEEP)),
    Recipe(),
    Recipe(background=Background(BackgroundKind.COLOR, "red")),
    Recipe(outputs=(Output.FACES,)),
)
TENANTS = st.sampled_from([TENANT] * 5 + [Tenant("somebody-else")])
# For how many steps a transition stays uncommitted; below nought: rolled back after them.
HELD = st.sampled_from([0, 0, 0, 1, 2, 4, -1, -3])
# Counted from the newest, and from leases that hold.
PICK = st.integers(0, 7)
SOME = st.lists(PICK, min_size=1, max_size=3)
DELAY = st.sampled_from([0.0, LATER_SECONDS])
