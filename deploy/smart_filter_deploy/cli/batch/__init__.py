"""A folder of photos sent through a server, with a journal to resume from."""
