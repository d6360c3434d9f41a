"""Serve the studio: a web page with its scripts, styles and fonts, from `page/`."""
