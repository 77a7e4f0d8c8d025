"""One score explained: its model, its features and what each adds, the lines behind, the checks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from headrace.held import Release, everything, rows_of
from headrace.intervals import SCORE_VERSION, features_due
from headrace.lake import Lake, Table, digest
from headrace.masking import hidden_of, masked
from headrace.models import registry
from headrace.models.contributions import Contributions, contributions
from headrace.spec.model import Pipeline
from headrace.tracing.behind import Behind, lines_behind
from headrace.tracing.found import Scored, equal


@dataclass(frozen=True)
class Passed:
    """A rule that the batch of a line was held against.

    Attributes:
        source: The source.
        batch: The batch.
        rule: The rule.
        action: What happens where it is broken.
        success: Whether the whole batch kept it; a row in silver has kept its row rules anyway.
        broken: Rows of the batch that broke it; None for rules of the whole table.
    """

    source: str
    batch: str
    rule: str
    action: str
    success: bool
    broken: int | None


@dataclass(frozen=True)
class HeldScore:
    """That a score was held.

    Attributes:
        reason: Why.
        release: Who released it, if anyone has.
        published: Whether it is among the scores.
    """

    reason: str
    release: Release | None
    published: bool

    def to_json(self) -> dict[str, Any]:
        """The same as JSON values, but for the moment."""
        return {**vars(self), "release": vars(self.release) if self.release else None}


@dataclass(frozen=True)
class Explanation:
    """Everything that is known of one score.

    Attributes:
        pipeline: The pipeline.
        scored: The score.
        record: What `record.json` tells of its model.
        since: From which moment on the model was champion.
        added: What each feature adds; None where the model does not tell.
        behind: The lines behind its features and its target.
        checks: The rules that their batches were held against.
        unchanged: Whether silver would give the same features today.
        features: Names of the features that were used.
        target: Name of the target.
        hidden: Columns whose values are not told.
        held: Why the score was held, and who released it; None where it was not.
    """

    pipeline: str
    scored: Scored
    record: Mapping[str, Any]  # JSON values
    since: str | None
    added: Contributions | None
    behind: tuple[Behind, ...]
    checks: tuple[Passed, ...]
    unchanged: bool
    features: tuple[str, ...]
    target: str
    hidden: frozenset[str]
    held: HeldScore | None = None

    @property
    def key(self) -> dict[str, Any]:
        """The key of the score, less what is hidden."""
        return masked(self.scored.key, self.hidden)

    @property
    def values(self) -> dict[str, Any]:
        """The row of gold, less what is hidden."""
        return masked(self.scored.features.to_pylist()[0], self.hidden)

    def to_json(self) -> dict[str, Any]:
        """The explanation as JSON values, but for dates."""
        scored, row = self.scored, self.scored.row
        values, added = self.values, self.added
        return {
            "pipeline": self.pipeline,
            "key": self.key,
            "interval": scored.interval,
            "score": {name: row[name] for name in _SCORES if name in row},
            "outcome": values[self.target],
            "run": row["_run"],
            "scored_at": scored.committed.at if scored.committed else None,
            "model": {
                "digest": scored.model,
                "champion_since": self.since,
                **{name: self.record.get(name) for name in _OF_A_RECORD},
            },
            "gold_version": scored.gold_version,
            "fingerprint": values["_fingerprint"],
            "held": self.held.to_json() if self.held else None,
            "unchanged_since": self.unchanged,
            "features": [
                {
                    "feature": name,
                    "value": values[name],
                    "adds": added.by_feature.get(name) if added else None,
                }
                for name in self.features
            ],
            "base": added.base if added else None,
            "scale": added.scale if added else None,
            "of_class": added.of if added else None,
            "lines": [asdict(each) for each in self.behind],
            "checks": [asdict(each) for each in self.checks],
        }


_SCORES = ("score", "prediction", "probabilities")
_OF_A_RECORD = (
    "algorithm",
    "parameters",
    "moment",
    "data",
    "spec",
    "decision",
    "libraries",
    "code",
)


def explain(
    pipeline: Pipeline, lake: Lake, scored: Scored, *, most: int, show_pii: bool = False
) -> Explanation:
    """Gathers what is known of a score; writes nothing and starts no engine.

    Args:
        pipeline: What is declared.
        lake: The lake.
        scored: The score.
        most: How many lines of a form of features are told one by one.
        show_pii: Whether values of columns marked `pii`, and of what is made of them, are told.

    Raises:
        UsageError: The model is not there any more.
        CorruptArtifact: Something that it reads is damaged.
    """
    model = registry.load(lake, pipeline.name, scored.model)
    behind = tuple(lines_behind(pipeline, lake, scored, most=most, show_pii=show_pii))
    since = [a.moment for a in registry.promotions(lake, pipeline.name) if a.model == scored.model]
    names = pipeline.features.names
    used = [name for name in names if name in scored.features.schema.names]
    return Explanation(
        pipeline=pipeline.name,
        scored=scored,
        record=model.record,
        since=since[0].isoformat() if since else None,
        added=contributions(model, scored.features),
        behind=behind,
        checks=tuple(_checks(lake, behind)),
        unchanged=_is_unchanged(pipeline, lake, scored),
        features=tuple(used),
        target=pipeline.target.name,
        hidden=frozenset() if show_pii else hidden_of(pipeline, f"gold/{pipeline.name}"),
        held=_held(pipeline, lake, scored),
    )


def _held(pipeline: Pipeline, lake: Lake, scored: Scored) -> HeldScore | None:
    rows = rows_of(lake, pipeline.name, day=scored.interval)
    if rows is None:
        return None
    kinds = rows.schema
    mine = equal(rows, {k: pa.scalar(v, kinds.field(k).type) for k, v in scored.key.items()})
    unit = scored.interval.isoformat()
    known = [each for each in everything(lake, pipeline.name) if each.unit == unit]
    if not (mine.num_rows and known):
        return None
    return HeldScore(mine["_reason"][0].as_py(), known[0].release, known[0].published)


def _is_unchanged(pipeline: Pipeline, lake: Lake, scored: Scored) -> bool:
    now = {each.day: each.fingerprint for each in features_due(pipeline, lake).intervals}
    fingerprint = now.get(scored.interval)
    return fingerprint is not None and (
        digest(fingerprint, SCORE_VERSION) == scored.row["_fingerprint"]
    )


def _checks(lake: Lake, behind: tuple[Behind, ...]) -> list[Passed]:
    """The newest verdict of each rule on each batch."""
    table = Table.if_exists(lake.checks)
    if table is None:
        return []
    batches = {(each.source, batch) for each in behind for batch in each.batches}
    rows = table.arrow()
    rows = rows.take(pc.sort_indices(rows, [("checked_at", "ascending")]))
    newest = {
        (row["source"], row["batch"], row["rule"]): row
        for row in rows.to_pylist()
        if (row["source"], row["batch"]) in batches
    }
    return [
        Passed(
            row["source"],
            row["batch"],
            row["rule"],
            row["action"],
            bool(row["success"]),
            row["unexpected"],
        )
        for row in newest.values()
    ]
