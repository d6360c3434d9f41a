"""The documentation as a site, built from the repository: `make docs`.

sources     the repository's files that are pages, and the place of each in the site
links       rewrites links and mentions of pages for the site
reference   pages made from the code
settings    updates the defaults in docs/settings.md
site        gathers the pages, and builds them with Zensical
built       checks the built site for dead links and requests to other hosts
"""
