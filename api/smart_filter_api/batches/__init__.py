"""Many photos in one request: how they come in, are written, waited for and shown."""
