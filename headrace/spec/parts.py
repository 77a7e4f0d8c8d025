"""The right parts of a document whose other parts may be wrong, so that all is told at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from headrace.spec.document import Json
from headrace.spec.fields import NAME
from headrace.spec.forms import Encoding, History, Holiday, Latest, Lookup, Step
from headrace.spec.model import Check, ColumnType, Schedule, Source, Target
from headrace.spec.problems import KEY, Loc
from headrace.spec.training import Split, Training

Part = TypeVar("Part", bound=BaseModel)


@dataclass(frozen=True)
class Parts:
    """The parts of a pipeline that have the right shape; a part that has not is left out, or None.

    Attributes:
        sources: None for a source that is declared and wrong: only its name is known.
        checks: Source -> its checks, with the position of each.
        features: Feature -> expression.
    """

    roots: tuple[str, ...] = ()
    sources: Mapping[str, Source | None] = field(default_factory=dict)
    checks: Mapping[str, list[tuple[int, Check]]] = field(default_factory=dict)
    rows: str | None = None
    features: Mapping[str, str] = field(default_factory=dict)
    lookups: Mapping[str, Lookup] = field(default_factory=dict)
    latest: Mapping[str, Latest] = field(default_factory=dict)
    history: Mapping[str, History] = field(default_factory=dict)
    encodings: Mapping[str, Encoding] = field(default_factory=dict)
    holidays: Mapping[str, Holiday] = field(default_factory=dict)
    steps: Sequence[tuple[int, Step]] = ()
    target: Target | None = None
    split: Split | None = None
    training: Training | None = None
    schedule: Schedule | None = None

    def columns(self, source: str | None) -> Mapping[str, ColumnType] | None:
        """The columns of a source; None where they are not known."""
        found = self.sources.get(source) if source is not None else None
        return found.columns if found else None

    @property
    def examples(self) -> frozenset[str]:
        """The columns of a training row that an audit can name: features, and the key."""
        rows = self.sources.get(self.rows) if self.rows is not None else None
        return frozenset((*(name for name, _ in self.named), *(rows.key if rows else ())))

    @property
    def named(self) -> list[tuple[str, Loc]]:
        """Each name of a feature, and where it stands."""
        found: list[tuple[str, Loc]] = [
            (name, ("features", "columns", name, KEY)) for name in self.features
        ]
        joined: tuple[tuple[str, Mapping[str, Lookup | Latest]], ...] = (
            ("lookups", self.lookups),
            ("latest", self.latest),
        )
        for form, declared in joined:
            for of, part in declared.items():
                at: Loc = ("features", form, of, "columns")
                found += [(name, (*at, name, KEY)) for name in part.columns]
        grouped = {"history": self.history, "encodings": self.encodings, "holidays": self.holidays}
        for form, names in grouped.items():
            found += [(name, ("features", form, name, KEY)) for name in names]
        for index, step in self.steps:
            found += [(name, ("features", "steps", index, "adds", name)) for name in step.adds]
        return found

    def about(self, source: str) -> Source | None:
        """The source that a source references; None where that is wrong, or nothing."""
        found = self.sources.get(source)
        other = found.references if found else None
        return self.sources.get(other) if other is not None and other != source else None


def parts_of(data: Json) -> Parts:
    """The parts of a document, each read alone; without its sources there is little to say."""
    training, schedule = (
        _made(Training, data.get("training")),
        _made(Schedule, data.get("schedule")),
    )
    split = _made(Split, data.get("split"))
    if not _mapping(data, "sources"):
        return Parts(split=split, training=training, schedule=schedule)
    features = _mapping(data, "features")
    roots = data.get("roots", ["landing"])
    return Parts(
        roots=tuple(root for root in roots if isinstance(root, str))
        if isinstance(roots, list)
        else (),
        sources={name: _made(Source, value) for name, value in _mapping(data, "sources").items()},
        checks={name: _listed(Check, value) for name, value in _mapping(data, "checks").items()},
        rows=rows if isinstance(rows := features.get("rows"), str) else None,
        features={
            name: value
            for name, value in _mapping(features, "columns").items()
            if isinstance(value, str) and NAME.fullmatch(name)
        },
        lookups=_all_made(Lookup, _mapping(features, "lookups")),
        latest=_all_made(Latest, _mapping(features, "latest")),
        history=_all_made(History, _mapping(features, "history")),
        encodings=_all_made(Encoding, _mapping(features, "encodings")),
        holidays=_all_made(Holiday, _mapping(features, "holidays")),
        steps=_listed(Step, features.get("steps")),
        target=_made(Target, data.get("target")),
        split=split,
        training=training,
        schedule=schedule,
    )


def _mapping(data: Json, key: str) -> dict[str, Json]:
    found = data.get(key)
    return found if isinstance(found, dict) else {}


def _made(kind: type[Part], value: Json) -> Part | None:
    try:
        return kind.model_validate(value, by_alias=True, by_name=False)
    except ValidationError:
        return None


def _all_made(kind: type[Part], values: Mapping[str, Json]) -> dict[str, Part]:
    made = {name: _made(kind, value) for name, value in values.items()}
    return {name: part for name, part in made.items() if part is not None}


def _listed(kind: type[Part], value: Json) -> list[tuple[int, Part]]:
    made = [_made(kind, part) for part in value] if isinstance(value, list) else []
    return [(index, part) for index, part in enumerate(made) if part is not None]
