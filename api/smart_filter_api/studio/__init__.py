"""The studio: one page for people, its scripts, styles and fonts, served as they lie in `page/`."""
