"""Rows that were set aside are shown without what is marked `pii`."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest

from headrace.lake import Lake, append
from headrace.masking import HIDDEN, MASK


@pytest.fixture
def set_aside(folder):
    """Two rows of rides in quarantine, of a run that marked the line: one cannot be cut."""
    lake = Lake(folder / "lake")
    append(lake.silver("rides"), pa.table({"line": ["blue"]}), unit="rides/check/b")
    rows = {
        "_raw": ["1,red,x", "2,red"],
        "_file": ["rides/a.csv"] * 2,
        "_file_sha256": ["f"] * 2,
        "_row": pa.array([2, 3], pa.int64()),
        "_batch": ["b"] * 2,
        "_failed_rules": [["_parse"]] * 2,
        "_reason": ["leaves: cannot read 'x' as timestamp; line: cannot read 'red' as int"] * 2,
    }
    append(lake.quarantine("rides"), pa.table(rows), unit="rides/quarantine/b")
    files = {"source": ["rides"], "sha256": ["f"], "columns": [["id", "line", "leaves"]]}
    append(lake.files, pa.table(files), unit="rides/files/b")
    about = lake.runs("r1") / "about" / "run.json"
    about.parent.mkdir(parents=True)
    about.write_text(json.dumps({"spec": {"sources.rides.pii": ["line"]}}))
    return lake


@pytest.mark.usefixtures("set_aside")
def test_marked_cells_of_the_rows_shown_are_hidden(headrace):
    code, out, _ = headrace("quarantine", "show", "rides")
    assert code == 0
    assert f"1,{MASK},x" in out
    assert HIDDEN in out
    assert f"line: cannot read '{MASK}' as int" in out
    assert "'x' as timestamp" in out
    assert "red" not in out
