"""`smart-filter removebg`: move programs written for remove.bg to this service."""

from typing import Final

# The host that programs with a fixed address call.
REMOVE_BG_HOST: Final = "api.remove.bg"
