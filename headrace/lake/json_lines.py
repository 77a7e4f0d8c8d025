"""Landing files of one JSON object per line: looked at, and read as numbered texts.

Nothing is taken apart here, but a line that is no JSON object is told apart from those that are.
"""

from __future__ import annotations

from collections.abc import Iterator

import orjson
import pyarrow as pa

from headrace.lake import lines
from headrace.lake.lines import Inspected, Split
from headrace.lake.stores import Place


def inspect(path: Place) -> Inspected:
    """As `headrace.lake.lines.inspect`; there is no header, so no columns."""
    sha256, _, problem = lines.first_line(path)
    if problem is None and not path.stat().st_size:
        problem = "the file is empty"
    return Inspected(sha256, (), problem)


def read(split: Split) -> Iterator[pa.RecordBatch]:
    """The lines of a split as `lines.LINES`, numbered from 1; empty ones are no rows."""
    for batch in lines.read(split, header=False):
        problems = [
            problem or _problem(text)
            for text, problem in zip(
                batch["_raw"].to_pylist(), batch["_problem"].to_pylist(), strict=True
            )
        ]
        yield batch.set_column(2, lines.LINES.field("_problem"), pa.array(problems, pa.string()))


def _problem(text: str) -> str | None:
    # Spark's parser reads the first of two objects on a line and says nothing of the second.
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        return f"is not JSON: {error}"
    return None if isinstance(found, dict) else "is not a JSON object"
