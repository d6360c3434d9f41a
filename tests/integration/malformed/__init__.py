"""Malformed requests of every kind, as rows of a table: the request and its answer.

One row for each rule, where the rule is applied; the fuzzer of `tests/fuzz` makes up others. A new
operation needs rows here, in one of these modules or in its own.
"""

from integration.malformed.accounts import ACCOUNTS, UPLOADS
from integration.malformed.batches import BATCHES
from integration.malformed.choices import CHOICES
from integration.malformed.jobs import DERIVING, FORMS, JSON_BODIES, LISTS, RECIPES
from integration.malformed.removebg import REMOVING
from integration.malformed.rows import Row

ROWS: tuple[Row, ...] = (
    *(*FORMS, *RECIPES, *JSON_BODIES, *LISTS),
    *(*ACCOUNTS, *UPLOADS, *DERIVING, *BATCHES, *CHOICES),
)
# Answered with errors of their own.
ROWS_OF_REMOVEBG: tuple[Row, ...] = REMOVING
