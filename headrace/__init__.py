"""Headrace: tables and models of a lake, from Python, with no engine started.

Example:
    import headrace

    lake = headrace.open("lake")
    lake.tables()
    lake.table("silver/weather").pandas()
    lake.table("scores/flight_delays", version=3).arrow()
    lake.profile("weather").to_pandas()
    lake.model("flight_delays").predict(rows)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from headrace.browse import OpenLake

__all__ = ["open"]


def open(path: str | Path) -> OpenLake:  # noqa: A001  # `headrace.open` is what it is called by
    """Opens a lake for reading.

    Args:
        path: Its folder.

    Raises:
        UsageError: There is no such folder.
    """
    from headrace.browse import OpenLake

    return OpenLake(path)
