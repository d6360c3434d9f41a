"""What the processes say of themselves."""
