"""The documentation as a site, built from the repository: `make docs`.

sources     which of the repository's files are pages, and where each lies in the site
links       links and mentions of pages, brought from where they were written to the site
reference   pages that are made from the code
settings    the defaults that docs/settings.md states, brought up to date
site        gathers the pages, and has Zensical build them
built       looks through what was built: dead links, and whatever is asked of other hosts
"""
