"""Every guard of the protocol is needed: a check fails without it."""

import pytest

from smart_filter_tests.bench import Bench
from smart_filter_tests.protocol import checks
from smart_filter_tests.protocol.mutants import MUTANTS, Mutant, applied


@pytest.mark.parametrize("check", checks.CHECKS)
@pytest.mark.timeout(300)
def test_service_passes_the_check(bench: Bench, check: str) -> None:
    checks.CHECKS[check](bench)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.guard)
@pytest.mark.timeout(300)
def test_check_notices_that_a_guard_is_missing(bench: Bench, mutant: Mutant) -> None:
    with applied(mutant), pytest.raises(AssertionError):
        checks.notice(bench, mutant)
