"""What `smart-filter removebg` does: move programs written for remove.bg to this service."""
