"""Build the site: `python -m smart_filter_docs` (into build/site); see `site`."""

import sys

from smart_filter_docs import settings, site

if __name__ == "__main__":
    settings.update()
    sys.exit(site.build())
