"""The site of `make docs`: complete, without dead links, without requests to other hosts."""

import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from smart_filter_docs import reference, site, sources
from smart_filter_shared.telemetry.metrics import METRICS

CONFIGURATION = sources.CHECKOUT / "docs" / "zensical.toml"
# The table in problems/index.md leads to them.
OUTSIDE_THE_NAVIGATION = "problems/"


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    return dict(reference.pages())


def named(entries: object) -> Iterator[str]:
    """Yield every page of a navigation."""
    if isinstance(entries, str):
        yield entries
    elif isinstance(entries, list):
        for entry in entries:
            yield from named(entry)
    elif isinstance(entries, dict):
        for inside in entries.values():
            yield from named(inside)


def test_site_is_built_without_a_warning() -> None:
    status = site.build()

    assert status == 0
    assert (site.SITE / "index.html").is_file()


def test_every_page_is_in_the_navigation_once(made: dict[str, str]) -> None:
    navigation = list(named(tomllib.loads(CONFIGURATION.read_text())["project"]["nav"]))

    written = {str(place) for place in sources.site_places().values() if place.suffix == ".md"}
    reachable = {
        page
        for page in {*written, *made}
        if not page.startswith(("examples/", OUTSIDE_THE_NAVIGATION))
    }
    assert sorted(navigation) == sorted({*reachable, "problems/index.md"})


def test_reference_describes_the_names_of_the_code(made: dict[str, str]) -> None:
    assert "\n## submit\n" not in made["reference/client.md"]
    assert "\n### submit\n" in made["reference/client.md"]
    assert "## models\n" in made["reference/commands.md"]
    assert "`segmentation.model`" in made["reference/recipe.md"]
    assert "### people {" in made["reference/models.md"]
    assert "`POST /v1/jobs`" in made["reference/rest/jobs.md"]
    assert all(metric.name in made["reference/metrics.md"] for metric in METRICS)
    assert [name for name, page in made.items() if " object at 0x" in page] == []


@pytest.mark.parametrize(
    ("page", "fault"),
    [
        ('<a href="gone.html">', "index.html points to gone.html, which is not there"),
        ('<a href="#gone">', "index.html points to #gone, which has no such place"),
        (
            '<script src="https://cdn.example.com/a.js">',
            "index.html fetches https://cdn.example.com/a.js from another host",
        ),
        (
            '<link rel="stylesheet" href="//fonts.example.com/a.css">',
            "index.html fetches //fonts.example.com/a.css from another host",
        ),
    ],
)
def test_fault_of_a_page_is_found(page: str, fault: str, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text(page)

    assert site.find_faults(tmp_path) == [fault]


def test_valid_links_are_accepted(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text(
        '<h2 id="here">x</h2><a href="#here"></a><a href="b/index.html#there"></a><a href="b/"></a>'
        '<a href="https://example.com/elsewhere"></a>'
    )
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "index.html").write_text('<h2 id="there">x</h2>')

    assert site.find_faults(tmp_path) == []


def test_style_that_fetches_from_elsewhere_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "site.css").write_text("@font-face { src: url(https://fonts.example.com/a.woff2) }")

    assert site.find_faults(tmp_path) == ["site.css fetches from another host"]


def test_page_that_points_nowhere_is_refused() -> None:
    with pytest.raises(site.DeadLink, match=r"docs/a\.md: gone\.md is no file of the site"):
        site.rewritten("[b](gone.md)", "docs/a.md", places={}, titles={})
