from __future__ import annotations

import json
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from headrace import profiles
from headrace.lake import Lake, append

ROWS = [
    {"statistic": "rows", "value": 3},
    {"column": "[b]line[/]", "statistic": "type", "text": "string", "place": 0},
    {"column": "[b]line[/]", "statistic": "missing", "value": 1, "rows": 3},
    {"column": "[b]line[/]", "statistic": "distinct", "value": 1, "text": "exact"},
    {"column": "[b]line[/]", "statistic": "top", "key": "r[ed]", "value": 2, "rows": 2},
]


@pytest.fixture
def kept(folder):
    """A source with one version, and its profile."""
    lake = Lake(folder / "lake")
    append(lake.silver("rides"), pa.table({"line": ["red"]}), unit="rides/check/b1")
    at = datetime(2024, 5, 1, tzinfo=UTC)
    profiles.keep(lake, ROWS, table="silver/rides", version=0, profiled_at=at)
    return lake


@pytest.mark.usefixtures("kept")
def test_what_was_profiled_is_told_again_without_an_engine(headrace, monkeypatch):
    monkeypatch.setattr("flows.execution.Execution.__init__", None)
    code, out, _ = headrace("profile", "rides")
    words = " ".join(out.split())
    assert code == 0
    assert "silver/rides, version 0: 3 rows" in words
    assert "[b]line[/] │ string │ 33.3 % │ 1 │" in words
    assert "r[ed] 100 %" in words
    assert "already done: version 0 of silver/rides was profiled before" in words
    assert "lake.profile('rides').to_pandas()" in words
    assert out.splitlines()[-1].startswith("next: ")


def test_json_is_the_rows_as_they_are_kept(headrace, kept):
    code, out, _ = headrace("profile", "rides", "--json")
    rows = json.loads(out)
    assert code == 0
    assert [row["statistic"] for row in rows] == [row["statistic"] for row in ROWS]
    assert kept.report("profile-silver-rides-v0").exists()


def test_a_source_that_is_not_declared_gives_the_near_name(headrace):
    code, _, err = headrace("profile", "rydes")
    assert code == 2
    assert "no source 'rydes'; did you mean 'rides'?" in err
    assert "there are rides, ends, lines, gold" in " ".join(err.split())


@pytest.mark.parametrize("subject", ["ends", "gold"])
def test_a_table_that_is_not_there_yet_says_what_makes_it(headrace, subject):
    code, _, err = headrace("profile", subject)
    assert code == 2
    assert "is there yet" in err
    assert "`headrace run pipeline.yaml` makes it" in " ".join(err.split())


def test_top_values_of_a_marked_column_are_shown_nowhere(headrace, folder, kept):
    text = (folder / "pipeline.yaml").read_text()
    path = "    path: landing/rides/*.csv\n"
    (folder / "pipeline.yaml").write_text(text.replace(path, f"{path}    pii: [line]\n"))
    rows = [{**row, **({"column": "line"} if "column" in row else {})} for row in ROWS]
    append(kept.gold("rides"), pa.table({"line": ["red"]}), unit="rides/features/b1")
    at = datetime(2024, 5, 2, tzinfo=UTC)
    profiles.keep(kept, rows, table="gold/rides", version=0, profiled_at=at)
    code, out, _ = headrace("profile", "gold")
    assert (code, "r[ed]" in out) == (0, False)
    _, out, _ = headrace("profile", "gold", "--json")
    assert "top" not in {row["statistic"] for row in json.loads(out)}
    assert "r[ed]" not in kept.report("profile-gold-rides-v0").read_text()
