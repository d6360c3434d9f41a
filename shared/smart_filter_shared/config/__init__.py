"""Settings from the environment, their validation, and the data folder."""
