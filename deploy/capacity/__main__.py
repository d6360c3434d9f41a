"""The answers, kept for docs/capacity.md and its figures: `python -m capacity`."""

import click

from capacity import answers, fleet, page


@click.command()
@click.option("--tables-only", is_flag=True, help="Of the answers that were kept last.")
def main(*, tables_only: bool) -> None:
    """Simulate what loads need, what they cost and what a crowd meets, and write it all down.

    Into answers.json, which `python docs/make_capacity.py` draws, and the tables of
    docs/capacity.md. Takes some minutes.
    """
    figures = fleet.read()
    if not tables_only:
        answers.keep(answers.find(figures))
    page.update(figures, answers.read())
    click.echo(f"wrote the tables of {page.PAGE}")


if __name__ == "__main__":
    main()
