"""Compute the tables of docs/capacity.md: `python -m benchmarks.capacity`."""

import click

from benchmarks.capacity import answers, fleet, page


@click.command()
@click.option("--tables-only", is_flag=True, help="Write the tables from the stored answers.")
def main(*, tables_only: bool) -> None:
    """Simulate loads, costs and crowds; write answers.json and the tables of docs/capacity.md.

    `python docs/make_capacity.py` draws answers.json. The simulation takes some minutes.
    """
    figures = fleet.read_figures()
    if not tables_only:
        answers.write_answers(answers.simulate_all(figures))
    page.write_page(figures, answers.read_answers())
    click.echo(f"wrote the tables of {page.PAGE}")


if __name__ == "__main__":
    main()
