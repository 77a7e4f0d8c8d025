"""Algorithms held against each other on a sample of gold, as a notebook asks; nothing is kept."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.errors import TrainingError
from headrace.evaluation.intervals import Judged, judged
from headrace.lake import Lake, Table
from headrace.models.algorithms import baselines
from headrace.models.algorithms.algorithm import Algorithm, Fitted, Parameters, Samples, Task
from headrace.models.declared import declared
from headrace.models.encoding import Encoding, refusals
from headrace.models.target import Classes
from headrace.spec.model import Pipeline

if TYPE_CHECKING:
    import pandas as pd

    from headrace.evaluation.metrics import Floats

_LATER = 5  # one day in so many is judged on, and as many before them choose


@dataclass(frozen=True)
class _Sides:
    """Rows to learn from, the newest of them again to stop and to choose by, and later rows."""

    pipeline: Pipeline
    oldest: pa.Table
    newest: pa.Table
    later: pa.Table
    classes: Classes

    def predicted(self, algorithm: Algorithm, *, seed: int) -> Floats:
        """What it makes of the later rows: fitted as in a training, with what the newest tell."""
        earlier = pa.concat_tables([self.oldest, self.newest])
        chosen = self._fitted(algorithm, self.oldest, algorithm.defaults, self.newest, seed=seed)[1]
        given = {**algorithm.defaults, **chosen.found}
        encoding, fitted = self._fitted(algorithm, earlier, given, None, seed=seed)
        score = algorithm.predict(fitted.estimator, encoding.matrix(self.later))
        if self.classes.task is not Task.MULTICLASS:
            return score
        return self.classes.placed(score, self.classes.with_strangers(self.target))

    @property
    def target(self) -> pa.ChunkedArray:
        """Of the later rows."""
        return self.later[self.pipeline.target.name]

    def _fitted(
        self,
        algorithm: Algorithm,
        rows: pa.Table,
        parameters: Parameters,
        validation: pa.Table | None,
        *,
        seed: int,
    ) -> tuple[Encoding, Fitted]:
        names = self.pipeline.features.names
        encoding = Encoding.fit(rows, names, form=algorithm.needs.categories)
        fitted = algorithm.fit(
            self._samples(encoding, rows),
            parameters,
            seed=seed,
            validation=None if validation is None else self._samples(encoding, validation),
            metric=self.pipeline.training.metric,
        )
        return encoding, fitted

    def _samples(self, encoding: Encoding, rows: pa.Table) -> Samples:
        y = self.classes.codes(rows[self.pipeline.target.name])
        task, count = self.classes.task, self.classes.count
        matrix, columns = encoding.matrix(rows), encoding.columns
        return Samples(matrix, y, encoding.categorical, task, count, columns=columns)


def compare(
    lake: Lake, pipeline: Pipeline, algorithms: Sequence[str], *, rows: int = 20_000, seed: int = 7
) -> pd.DataFrame:
    """Fits algorithms, with defaults or what the pipeline says, and judges them on later days.

    A first look, on the newest fifth of the days of a sample; the fifth before it stops boosting
    and chooses look-ups. Nothing is tuned, audited, kept or promoted, and the test part of a
    training is among what is looked at. Baselines are fitted too.

    Args:
        lake: With gold of the pipeline.
        pipeline: Whose features, target and metric count.
        algorithms: Names of the catalogue.
        rows: At most so many rows with a known target, drawn evenly.
        seed: Of the draw, the fits and the resamples.

    Returns:
        A row per algorithm, best first: `value`, `low`, `high` of the pipeline's metric; `gain`,
        `gain_low`, `gain_high` over the best baseline (positive is better); `seconds`.

    Raises:
        UsageError: There is no gold, or no such algorithm.
        TrainingError: There are not three days with known targets.
    """
    import pandas as pd

    sides = _sides(lake, pipeline, rows=rows, seed=seed)
    plain = [entry.name for entry in baselines(pipeline.target.task)]
    scores, seconds = {}, {}
    for name in (*plain, *algorithms):
        began = time.perf_counter()
        scores[name] = sides.predicted(declared(name, pipeline.training), seed=seed)
        seconds[name] = round(time.perf_counter() - began, 2)
    found = judged(
        sides.classes.codes(sides.target),
        scores,
        blocks=sides.later.column("_interval").cast(pa.int32()).to_numpy().astype(np.int64),
        seed=seed,
        task=pipeline.target.task,
    )
    told = pd.DataFrame(_rows(found, pipeline, plain))
    told["seconds"] = [seconds[name] for name in told["algorithm"]]
    return told.sort_values("gain", ascending=False, kind="stable").reset_index(drop=True)


def _rows(found: Judged, pipeline: Pipeline, plain: Sequence[str]) -> list[dict[str, object]]:
    metric = pipeline.training.metric
    best = max(plain, key=lambda name: metric.gain(found.metrics[name][metric].value, 0.0))
    gains = {name: found.gain(name, over=best, metric=metric) for name in found.metrics}
    return [
        {
            "algorithm": name,
            "metric": str(metric),
            **vars(metrics[metric]),
            "gain": gains[name].value,
            "gain_low": gains[name].low,
            "gain_high": gains[name].high,
            "over": best,
        }
        for name, metrics in found.metrics.items()
    ]


def _sides(lake: Lake, pipeline: Pipeline, *, rows: int, seed: int) -> _Sides:
    """A sample of the rows with a known target, its days in three parts."""
    names, target = pipeline.features.names, pipeline.target.name
    key = pipeline.sources[pipeline.features.rows].key
    gold = Table(lake.gold(pipeline.name)).arrow(
        list(dict.fromkeys(("_interval", *key, *names, target)))
    )
    known = gold.filter(pc.and_(pc.is_valid(gold[target]), pc.is_null(refusals(gold, names))))
    known = known.sort_by([("_interval", "ascending"), *((name, "ascending") for name in key)])
    if len(known) > rows:
        drawn = np.random.default_rng(seed).choice(len(known), rows, replace=False)
        known = known.take(pa.array(np.sort(drawn)))
    days = np.unique(known["_interval"].cast(pa.int32()).to_numpy())
    if len(days) < 3:  # noqa: PLR2004  # to learn from, to choose by, to judge on
        message = "gold has known targets on fewer than three days"
        raise TrainingError(message, pipeline=pipeline.name, hint="deliver more, or wait")
    held = max(len(days) // _LATER, 1)
    parts = [
        known.filter(pc.is_in(known["_interval"].cast(pa.int32()), pa.array(part)))
        for part in (days[: -2 * held], days[-2 * held : -held], days[-held:])
    ]
    learned = pa.concat_tables(parts[:2])[target]
    classes = Classes.fit(pipeline.target.task, learned)
    return _Sides(pipeline, parts[0], parts[1], parts[2], classes)
