"""The page of a profile: whole, escaped, small; and its line on the page of a run."""

import re
from datetime import UTC, datetime

import pytest

from headrace import profiles
from headrace.lake import Lake
from headrace.report import latest, write, write_profile
from headrace.report.profiles import sparkline, summary, tops

HOSTILE = '<script>alert("x")</script>\u202e'


def of_column(name, place, *, bins=(1, 2, 4)):
    """The rows of a column of numbers."""
    same = {"column": name}
    return [
        {**same, "statistic": "type", "text": "double", "place": place},
        {**same, "statistic": "missing", "value": 2, "rows": 10},
        {**same, "statistic": "distinct", "value": 7, "text": "estimated"},
        {**same, "statistic": "min", "value": 0.5, "rows": 8},
        {**same, "statistic": "max", "value": 3000.0, "rows": 8},
        {**same, "statistic": "quantile", "key": "0.5", "place": 3, "value": 1.25, "rows": 8},
        {**same, "statistic": "top", "key": "6.9046799999", "place": 0, "value": 4, "rows": 8},
        *(
            {**same, "statistic": "bin", "place": n, "low": n, "high": n + 1, "value": count}
            for n, count in enumerate(bins)
        ),
        *(
            {**same, "statistic": "period_mean", "key": f"2024-0{n}-01", "place": n - 1, "value": n}
            for n in (1, 2, 4)
        ),
    ]


def of_table(*names):
    """The rows of a table with these columns, all correlated."""
    months = [
        {"statistic": "period", "key": f"2024-0{n}-01", "place": n - 1, "value": n, "text": "month"}
        for n in range(1, 5)
    ]
    rows = [{"statistic": "rows", "value": 10}, *months]
    for place, name in enumerate(names):
        rows += of_column(name, place)
        rows += [
            {"column": name, "statistic": "correlation", "key": other, "value": -0.9, "rows": 8}
            for other in names[place + 1 : place + 3]
        ]
    return rows


@pytest.fixture
def keep(lake: Lake):
    """Keeps a profile, and gives it back as it is read."""

    def kept(*names, table="silver/flights", version=3):
        rows = of_table(*names)
        at = datetime(2024, 5, 1, tzinfo=UTC)
        profiles.keep(lake, rows, table=table, version=version, profiled_at=at)
        return profiles.arranged(profiles.recall(lake, table, version))

    return kept


def test_page_shows_every_column_its_pairs_and_its_time(lake, keep):
    page = write_profile(lake, keep("temp", "humid"))
    html = page.read_text()
    assert page.name == "profile-silver-flights-v3.html"
    assert html.startswith("<!doctype html>")
    assert html.count('class="column-card" id=') == 2
    assert "temp and humid: -0.90, 8 rows" in html
    assert "Over time: mean per month: 1 to 4" in html
    assert html.count("<polyline") == 1 + 2 * 2  # one line of rows; each mean has a gap
    assert "20.0 %" in html


def test_page_asks_no_other_host_and_shows_foreign_text_as_text(lake, keep):
    html = write_profile(lake, keep(HOSTILE, "b")).read_text()
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    assert "\u202e" not in html
    assert not re.search(r"""(?:href|src)="(?!#)|url\(|@import""", html)


def test_page_of_many_columns_stays_small(lake, keep):
    page = write_profile(lake, keep(*(f"column_{n}" for n in range(400))))
    assert page.stat().st_size < 2_000_000
    assert "The first 150 of 400 columns" in page.read_text()


def test_empty_table_has_a_page(lake):
    rows = [
        {"statistic": "rows", "value": 0},
        {"column": "a", "statistic": "type", "text": "string", "place": 0},
        {"column": "a", "statistic": "missing", "value": 0, "rows": 0},
    ]
    profiles.keep(lake, rows, table="gold/x", version=0, profiled_at=datetime.now(UTC))
    found = profiles.arranged(profiles.recall(lake, "gold/x"))
    assert "0 rows, 1 column" in write_profile(lake, found).read_text()


def test_column_in_words(keep):
    (column,) = keep("temp").columns
    assert summary(column) == ("0.5", "1.25", "3,000")
    assert sparkline(column) == "▃▅█"
    assert tops(column, 3) == [("6.905", 0.5)]


def test_run_links_the_newest_profile_which_is_not_its_own_page(lake, keep, pipeline, whole_run):
    keep("temp", version=3)
    newest = write_profile(lake, keep("temp", version=4))
    keep("temp", table="silver/of_another_pipeline")
    page = write(pipeline, lake, run=whole_run)
    html = page.read_text()
    assert re.findall(r'href="([^#"]+)"', html) == ["index.html", newest.name]
    assert "Profile of the data" in html
    assert latest(lake) == page
    assert write_profile(lake, keep("temp", version=5)) != latest(lake)


def test_a_profile_is_kept_once_for_a_version(lake, keep):
    keep("temp")
    keep("other")
    assert [column.name for column in keep("third").columns] == ["temp"]
    assert profiles.recall(lake, "silver/flights", 2) is None
