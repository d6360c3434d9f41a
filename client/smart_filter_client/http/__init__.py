"""Send requests over HTTP, and read the answers."""
