"""`python -m smart_filter_deploy.cli`, where the console script is not at hand."""

from smart_filter_deploy.cli import main

main()
