from __future__ import annotations

import pyarrow as pa
import pytest

from headrace.errors import CorruptArtifact
from headrace.lake import Table, append


def test_a_commit_of_no_bytes_is_an_error_and_not_an_empty_table(tmp_path):
    table = tmp_path / "rows"
    for number in (1, 2):
        append(table, pa.table({"id": [number]}), unit=f"u{number}")
    (table / "_delta_log" / f"{1:020}.json").write_bytes(b"")
    with pytest.raises(CorruptArtifact, match=r"commit of no bytes: 0{19}1\.json"):
        Table(table)
