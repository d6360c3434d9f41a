"""What a process does between requests."""
