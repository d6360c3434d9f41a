"""What the API and the workers agree on: no web framework, no numerics."""
