"""Rows of a source as they were known at a moment, before they were corrected."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc


def as_known(rows: pa.Table, *, key: Sequence[str], clock: str, at: datetime) -> pa.Table:
    """The newest version of each key among the rows known at a moment, in their order.

    Args:
        rows: Of silver, with all versions.
        key: What makes two rows versions of one.
        clock: The column that tells when a version was known; a null was never known.
        at: The moment, aware, itself included.

    Raises:
        ValueError: `at` has no time zone.
    """
    if at.tzinfo is None:
        message = f"{at} has no time zone, so it is no moment: add one"
        raise ValueError(message)
    moment = pa.scalar(at.astimezone(UTC), pa.timestamp("us", "UTC"))
    known = rows.filter(pc.less_equal(rows[clock].cast(pa.timestamp("us", "UTC")), moment))
    order = pc.sort_indices(known, sort_keys=[(clock, "ascending")])
    placed = known.select(list(key)).take(order).append_column("_place", order)
    newest = placed.group_by(list(key), use_threads=False).aggregate([("_place", "last")])
    places = newest["_place_last"]
    return known.take(places.take(pc.array_sort_indices(places)))
