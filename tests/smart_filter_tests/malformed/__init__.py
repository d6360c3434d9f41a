"""Malformed requests of every kind, as rows of a table: the request and its answer.

One row for each rule, where the rule is applied; the fuzzer of `tests/fuzz` makes up others. A new
operation needs rows here, in one of these modules or in its own.
"""

from smart_filter_tests.malformed.accounts import ACCOUNTS, UPLOADS
from smart_filter_tests.malformed.batches import BATCHES
from smart_filter_tests.malformed.choices import CHOICES
from smart_filter_tests.malformed.jobs import DERIVING, FORMS, JSON_BODIES, LISTS, RECIPES
from smart_filter_tests.malformed.removebg import REMOVING
from smart_filter_tests.malformed.rows import Row

ROWS: tuple[Row, ...] = (
    *(*FORMS, *RECIPES, *JSON_BODIES, *LISTS),
    *(*ACCOUNTS, *UPLOADS, *DERIVING, *BATCHES, *CHOICES),
)
# Answered with errors of their own.
ROWS_OF_REMOVEBG: tuple[Row, ...] = REMOVING
