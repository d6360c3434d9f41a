"""Settings from the environment, their validation, and the data folder.

Called by api, db, deploy, storage, training, workers.
Calls security.
"""

from typing import Final

# In the place of the broker's URL. Here, because `smart-filter up` does without the libraries that
# read settings.
NO_BROKER: Final = "none"
