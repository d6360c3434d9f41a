"""Serve the studio: a web page with its scripts, styles and fonts, from `page/`.

Called by modules above.
Calls http, routes, shared.
"""
