"""Render database rows as the API's response documents."""
