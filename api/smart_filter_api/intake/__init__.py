"""Read request bodies into spooled pictures and form fields, within limits."""
