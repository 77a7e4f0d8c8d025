"""The page of a profile: its charts' geometry, and where it stands; the templates draw it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace import profiles
from headrace.errors import CorruptArtifact, UsageError
from headrace.lake import Lake
from headrace.masking import hidden_of
from headrace.profiles import ColumnProfile, Profile, Row
from headrace.report.heat import heat_map
from headrace.report.scale import Scale
from headrace.report.wording import figure

if TYPE_CHECKING:
    from headrace.spec.model import Pipeline

PROFILE = "profile-"  # how the name of its page begins; a run's begins with its moment
MOST_COLUMNS, MOST_STRONG = 150, 20
_WIDTH, _HEIGHT, _LINE_HEIGHT = 320, 90, 56
_TOPS, _FEW_TOPS = 8, 3  # values shown, without and with a histogram
_SHADES = "▁▂▃▄▅▆▇█"

Point = tuple[float, float]


@dataclass(frozen=True)
class Bin:
    """A bin of a histogram in pixels; `outer` ones are as narrow as the others, but hold more."""

    x: float
    y: float
    width: float
    height: float
    outer: bool
    says: str


@dataclass(frozen=True)
class Trend:
    """A line over the periods in pixels, and the least and greatest value on it."""

    says: str
    pieces: list[list[Point]]
    low: str
    high: str


@dataclass(frozen=True)
class ColumnChart:
    """One column with its charts; of trends the first is shown, the others on a click."""

    column: ColumnProfile
    bins: list[Bin]
    facts: list[tuple[str, str]]
    tops: list[tuple[str, float]]
    trends: list[Trend]


def page_of(lake: Lake, profile: Profile) -> Path:
    """Where the page of a profile stands."""
    return lake.report(f"{PROFILE}{profile.table.replace('/', '-')}-v{profile.version}")


def drawn(profile: Profile) -> dict[str, Any]:
    """What the template draws of a profile."""
    days = profile.of.get("period", ())
    names = [column.name for column in profile.columns]
    maps = (
        heat_map(measure, names, [row for each, row in profile.pairs if each == measure])
        for measure in ("correlation", "cramers_v")
    )
    return {
        "profile": profile,
        "columns": [column_chart(c, profile) for c in profile.columns[:MOST_COLUMNS]],
        "rows": _trend("rows", [row["value"] for row in days], from_zero=True),
        "periods": days,
        "heat_maps": [heat for heat in maps if heat.names],
        "strongest": profile.pairs[:MOST_STRONG],
        "notes": list(profile.notes),
        "summary": summary,
        "width": _WIDTH,
        "height": _HEIGHT,
        "line_height": _LINE_HEIGHT,
    }


def newest_profiles(lake: Lake, pipeline: Pipeline) -> list[tuple[Profile, Path]]:
    """The newest profile of each table of a pipeline that has one, and its page.

    Empty where they cannot be read: the page of a run does without, and `headrace verify` says why.
    """
    mine = {f"silver/{name}" for name in pipeline.sources} | {f"gold/{pipeline.name}"}
    try:
        found = [
            profiles.arranged(profiles.without_values(rows, hidden_of(pipeline, table)))
            for table in profiles.profiled(lake)
            if table in mine and (rows := profiles.recall(lake, table)) is not None
        ]
    except (CorruptArtifact, UsageError):
        return []
    return [(profile, page_of(lake, profile)) for profile in found]


def told(row: Row) -> str:
    """A statistic as a reader sees it: a moment as text, else a number."""
    text = row["text"]
    return str(text).replace("T", " ").removesuffix(":00") if text else figure(row["value"])


def summary(column: ColumnProfile) -> tuple[str, ...]:
    """Least, median and greatest value; of a text its lengths; dashes where there is none."""
    prefix = "length_" if "length_min" in column.of else ""
    median = [row for row in column.of.get(f"{prefix}quantile", ()) if row["key"] == "0.5"]
    least, most = (column.of.get(prefix + name, ()) for name in ("min", "max"))
    return tuple(told(rows[0]) if rows else "—" for rows in (least, median, most))


def tops(column: ColumnProfile, most: int) -> list[tuple[str, float]]:
    """Its most frequent values, and their shares of the values that are there."""
    rows = column.of.get("top", ())[:most]
    texts = [row["key"] or "(empty)" for row in rows]
    if column.type in {"double", "float"}:
        texts = [figure(float(row["key"])) for row in rows]
    return [(text, row["value"] / row["rows"]) for text, row in zip(texts, rows, strict=True)]


def sparkline(column: ColumnProfile, most: int = 12) -> str:
    """The histogram in a few characters; neighbours together where there are more bins."""
    counts = [int(row["value"]) for row in column.of.get("bin", ())]
    together = math.ceil(len(counts) / most) or 1
    counts = [sum(counts[n : n + together]) for n in range(0, len(counts), together)]
    top = max(counts, default=0)
    return "".join(
        _SHADES[math.ceil(count / top * (len(_SHADES) - 1))] if count else " " for count in counts
    )


def column_chart(column: ColumnProfile, profile: Profile) -> ColumnChart:
    """Histogram, figures and change over time of one column."""
    days = profile.of.get("period", ())
    lines = [("mean", column.of.get("period_mean", ()))]
    shares: dict[str, list[Row]] = {}
    for row in column.of.get("period_share", ()):
        shares.setdefault(row["text"], []).append(row)
    lines += [(f"share of {value or '(empty)'}", rows) for value, rows in shares.items()]
    if column.missing:
        lines.append(("missing", column.of.get("period_missing", ())))
    trends = [_over(days, rows, says, from_zero=says != "mean") for says, rows in lines]
    return ColumnChart(
        column=column,
        bins=_bins(column),
        facts=_facts(column),
        tops=tops(column, _TOPS if "bin" not in column.of else _FEW_TOPS),
        trends=[trend for trend in trends if trend.pieces],
    )


def _facts(column: ColumnProfile) -> list[tuple[str, str]]:
    prefix = "length_" if "length_min" in column.of else ""
    word = "length, " if prefix else ""
    found = [
        (word + name, told(column.of[prefix + name][0]))
        for name in ("min", "max", "mean", "std")
        if prefix + name in column.of and not (name == "std" and column.is_moment)
    ]
    found += [
        (f"{word}{100 * float(row['key']):.0f} %", told(row))
        for row in column.of.get(f"{prefix}quantile", ())
    ]
    found += [(name, figure(column[name])) for name in ("nan", "infinite") if column[name]]
    return found


def _bins(column: ColumnProfile) -> list[Bin]:
    rows = column.of.get("bin", ())
    if not rows:
        return []
    tallest = max(row["value"] for row in rows) or 1
    widths = sorted(row["high"] - row["low"] for row in rows)
    usual = widths[len(widths) // 2]
    slot = _WIDTH / len(rows)
    made = []
    for place, row in enumerate(rows):
        height = round(row["value"] / tallest * (_HEIGHT - 4), 1)
        outer = place in {0, len(rows) - 1} and row["high"] - row["low"] > usual * 1.5
        span = f"{figure(row['low'])} to {figure(row['high'])}"
        if row["text"]:
            until = rows[place + 1]["text"] if place + 1 < len(rows) else "the last"
            span = f"{row['text']} to {until}"
        made.append(
            Bin(
                x=round(place * slot + 0.5, 1),
                y=round(_HEIGHT - height, 1),
                width=round(max(slot - 1, 1), 1),
                height=height,
                outer=outer,
                says=f"{span}: {int(row['value']):,}",
            )
        )
    return made


def _over(days: Sequence[Row], rows: Sequence[Row], says: str, *, from_zero: bool) -> Trend:
    of = {row["place"]: row["value"] for row in rows}
    return _trend(says, [of.get(day["place"]) for day in days], from_zero=from_zero)


def _trend(says: str, points: Sequence[float | None], *, from_zero: bool) -> Trend:
    """A line that is broken where a period has no value."""
    values = [value for value in points if value is not None]
    if not values:
        return Trend(says, [], "", "")
    low, high = min(values), max(values)
    x = Scale(0, max(len(points) - 1, 1), 3, _WIDTH - 3)
    y = Scale(min(low, 0.0) if from_zero else low, high, _LINE_HEIGHT - 5, 5)
    pieces: list[list[Point]] = [[]]
    for place, value in enumerate(points):
        if value is not None:
            pieces[-1].append((x(place), y(value)))
        elif pieces[-1]:
            pieces.append([])
    return Trend(says, [piece for piece in pieces if piece], figure(low), figure(high))
