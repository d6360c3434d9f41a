"""Run the command line as `python -m smart_filter_deploy.cli`, without the console script."""

from smart_filter_deploy.cli import main

main()
