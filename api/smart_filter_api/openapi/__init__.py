"""The document that describes the API to machines (OpenAPI 3.1), and what it is made of."""
