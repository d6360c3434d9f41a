"""Problem documents (RFC 9457): the table of codes, their pages and their responses."""
