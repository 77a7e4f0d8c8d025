"""What differs between two runs, from what their stages recorded; no pipeline file is needed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from headrace import runs
from headrace.errors import CorruptArtifact, UsageError
from headrace.lake import Lake, Table
from headrace.spec.problems import nearest
from headrace.stage import StageResult

LAST, PREVIOUS = "last", "previous"
_OF_SOURCES = ("ingest", "check")
_MOST_DAYS = 3  # that a change names

Facts = dict[tuple[str, str], object]  # (section, what) -> value, in the order of the stages


@dataclass(frozen=True)
class Change:
    """One fact that is not the same in two runs.

    Attributes:
        section: stages, inputs, spec, rows, checks, training, model or libraries.
        what: The fact, such as `check planned: silver`.
        before: Its value in the first run; None where that run tells nothing of it.
        after: In the second.
    """

    section: str
    what: str
    before: Any  # any JSON value
    after: Any


@dataclass(frozen=True)
class Difference:
    """What differs between two runs.

    Attributes:
        first: The one run.
        second: The other.
        changes: By section.
        seconds: Stage and subject -> seconds in either run.
        notes: What could not be compared.
    """

    first: str
    second: str
    changes: tuple[Change, ...]
    seconds: Mapping[str, tuple[float | None, float | None]]
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The difference as JSON values."""
        return {
            "first": self.first,
            "second": self.second,
            "same": not self.changes,
            "changes": [vars(change) for change in self.changes],
            "seconds": {name: list(pair) for name, pair in self.seconds.items()},
            "notes": list(self.notes),
        }


def named(lake: Lake, asked: str) -> str:
    """A run by its name, by how that begins, or as `last` or `previous`.

    Raises:
        UsageError: There is none, or several begin so.
    """
    known = runs.names(lake.root)
    if asked in {LAST, PREVIOUS}:
        nth = 1 if asked == LAST else 2
        if len(known) < nth:
            message = f"there are {len(known)} runs, and {asked!r} takes {nth}"
            hint = "`headrace run` makes the next, once there is something new to do"
            raise UsageError(message, lake=lake.root, hint=hint)
        return known[-nth]
    found = [asked] if asked in known else [name for name in known if name.startswith(asked)]
    if len(found) != 1:
        many = f"{len(found)} runs begin with {asked!r}"
        near = nearest(asked, known)
        shown = ", ".join(found[:3] or ([near] if near else known[-3:]))
        message = many if found else f"no run {asked!r}"
        raise UsageError(message, lake=lake.root, hint=f"there are {shown}, {PREVIOUS}, {LAST}")
    return found[0]


def difference(lake: Lake, first: str, second: str) -> Difference:
    """Compares what two runs recorded, and the features that they left.

    Args:
        lake: The lake.
        first: Name of a run.
        second: Name of another.
    """
    notes: list[str] = []
    then, now = _results(lake, first), _results(lake, second)
    abouts = [runs.about(lake.runs(run)) for run in (first, second)]
    for run, about in zip((first, second), abouts, strict=True):
        if about is None:
            notes.append(f"{run} kept neither its spec nor its libraries")
    both = then.keys() & now.keys()
    before, after = (
        {
            **_facts({name: side[name] for name in side if name in both}),
            **_made_of(about if None not in abouts else None),
        }
        for side, about in zip((then, now), abouts, strict=True)
    )
    changes = [
        Change("stages", name, _did(then.get(name)), _did(now.get(name)))
        for name in sorted(then.keys() ^ now.keys())
    ]
    changes += [
        Change(*place, before.get(place), after.get(place))
        for place in sorted({**before, **after}, key=_place)
        if before.get(place) != after.get(place)
    ]
    changes += _changed_features(lake, then, now, notes)
    changes.sort(key=lambda change: _SECTIONS.index(change.section))
    seconds = {
        name: (_seconds(then, name), _seconds(now, name)) for name in dict.fromkeys([*then, *now])
    }
    return Difference(first, second, tuple(changes), seconds, tuple(notes))


_SECTIONS = ("stages", "inputs", "spec", "rows", "checks", "training", "model", "libraries")


def _place(place: tuple[str, str]) -> tuple[int, str]:
    return _SECTIONS.index(place[0]), place[1]


def _results(lake: Lake, run: str) -> dict[str, StageResult]:
    """`check planned` -> what it recorded; of several trainings the last."""
    found: dict[str, StageResult] = {}
    for path in runs.results(lake.runs(run)):
        try:
            result = StageResult.from_json(json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, KeyError, TypeError) as error:
            message = f"a record cannot be read: {error!r}"
            raise CorruptArtifact(
                message, run=run, file=path.name, hint="compare another run"
            ) from error
        found[f"{result.name} {result.subject}"] = result
    return found


def _did(result: StageResult | None) -> str | None:
    return None if result is None else str(result.outcome)


def _made_of(about: Mapping[str, Any] | None) -> Facts:
    """What a run was made of, where both runs tell it."""
    sections = ("spec", "libraries") if about else ()
    return {
        (section, what): value
        for section in sections
        for what, value in (about or {}).get(section, {}).items()
    }


def _facts(results: Mapping[str, StageResult]) -> Facts:
    facts: Facts = {}
    for name, result in results.items():
        if result.name in _OF_SOURCES:
            facts["inputs", f"{name}: batches"] = sorted(unit[:12] for unit in result.units)
        else:
            facts["inputs", f"{name}: intervals"] = _span(result.units)
        for row, count in result.rows.items():
            facts["rows", f"{name}: {row}"] = count
        for verdict in result.detail.get("verdicts", ()):
            facts["checks", f"{result.subject}: {verdict['rule']}"] = _verdict(verdict)
        if result.name == "train":
            facts |= _training(result.detail)
        if result.name == "score":
            models = sorted(set((result.detail.get("models") or {}).values()))
            facts["model", "scored by"] = models
    return facts


def _span(units: tuple[str, ...]) -> str:
    if not units:
        return "none"
    return units[0] if len(units) == 1 else f"{len(units)}: {units[0]} to {units[-1]}"


def _verdict(verdict: Mapping[str, Any]) -> str:
    broken = verdict.get("unexpected")
    told = "kept" if verdict.get("success") else "broken"
    return f"{told}, {broken:,} of {verdict.get('rows') or 0:,} rows" if broken else told


def _training(detail: Mapping[str, Any]) -> Facts:
    facts: Facts = {}
    for entry in detail.get("leaderboard", ()):
        for metric, value in entry["validation"].items():
            facts["training", f"validation {metric} of {entry['candidate']}"] = value
    for entry in detail.get("test", ()):
        for metric, told in entry["metrics"].items():
            facts["training", f"test {metric} of {entry['candidate']}"] = told["value"]
    gain, decision = detail.get("gain") or {}, detail.get("decision") or {}
    facts["training", "gain"] = gain.get("value")
    facts["training", "over"] = gain.get("over")
    facts["training", "promoted"] = decision.get("promoted")
    facts["training", "decision"] = decision.get("sentence")
    facts["model", "shipped"] = detail.get("model")
    return facts


def _changed_features(
    lake: Lake,
    before: Mapping[str, StageResult],
    after: Mapping[str, StageResult],
    notes: list[str],
) -> Iterator[Change]:
    """Intervals whose fingerprint in gold is not the same after the two runs."""
    for name in sorted(before.keys() & after.keys()):
        sides = (before[name], after[name])
        if sides[0].name != "features" or not all("gold" in side.tables for side in sides):
            continue
        path = lake.gold(sides[0].subject)
        try:
            then, now = (_fingerprints(Table(path, side.tables["gold"])) for side in sides)
        except UsageError:
            notes.append(f"a version of {path.parent.name}/{path.name} is not there any more")
            continue
        for what, days in (
            ("changed", [day for day in then.keys() & now.keys() if then[day] != now[day]]),
            ("new", list(now.keys() - then.keys())),
        ):
            if days:
                yield Change("inputs", f"{name}: fingerprints {what}", None, _days(sorted(days)))


def _fingerprints(gold: Table) -> dict[date, object]:
    return {file.partition["_interval"]: file.least.get("_fingerprint") for file in gold.files}


def _days(days: list[date]) -> str:
    if len(days) <= _MOST_DAYS:
        return ", ".join(map(str, days))
    return f"{len(days)}: {days[0]} to {days[-1]}"


def _seconds(results: Mapping[str, StageResult], name: str) -> float | None:
    return round(results[name].seconds, 3) if name in results else None
