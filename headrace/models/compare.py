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
from headrace.models.algorithms import baselines, named
from headrace.models.algorithms.algorithm import Algorithm, Samples, Task
from headrace.models.encoding import Encoding, refusals
from headrace.models.target import Classes
from headrace.spec.model import Pipeline

if TYPE_CHECKING:
    import pandas as pd

    from headrace.evaluation.metrics import Floats

_LATER = 5  # a part in so many of the days is judged on


@dataclass(frozen=True)
class _Sides:
    """Rows to learn from and later rows to judge on."""

    pipeline: Pipeline
    earlier: pa.Table
    later: pa.Table
    classes: Classes

    def samples(self, encoding: Encoding, rows: pa.Table) -> Samples:
        target = rows.column(self.pipeline.target.name)
        classes = self.classes
        X = encoding.matrix(rows)
        return Samples(X, classes.codes(target), encoding.categorical, classes.task, classes.count)

    def predicted(self, algorithm: Algorithm, *, seed: int) -> Floats:
        form = algorithm.needs.categories
        encoding = Encoding.fit(self.earlier, self.pipeline.features.names, form=form)
        fitted = algorithm.fit(
            self.samples(encoding, self.earlier),
            algorithm.defaults,
            seed=seed,
            validation=None,
            metric=self.pipeline.training.metric,
        )
        return algorithm.predict(fitted.estimator, encoding.matrix(self.later))


def compare(
    lake: Lake, pipeline: Pipeline, algorithms: Sequence[str], *, rows: int = 20_000, seed: int = 7
) -> pd.DataFrame:
    """Fits algorithms with their defaults on earlier days, and judges them on later ones.

    A first look, on the newest fifth of the days of a sample: nothing is tuned, audited, kept or
    promoted, and the test part of a training is among what is looked at. Baselines are fitted too.

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
        TrainingError: There are not two days with known targets.
    """
    import pandas as pd

    sides = _sides(lake, pipeline, rows=rows, seed=seed)
    plain = [entry.name for entry in baselines(pipeline.target.task)]
    scores, seconds = {}, {}
    for name in (*plain, *algorithms):
        began = time.perf_counter()
        scores[name] = sides.predicted(named(name), seed=seed)
        seconds[name] = round(time.perf_counter() - began, 2)
    found = judged(
        sides.classes.codes(sides.later.column(pipeline.target.name)),
        scores,
        blocks=sides.later.column("_interval").cast(pa.int32()).to_numpy().astype(np.int64),
        seed=seed,
        task=pipeline.target.task,
    )
    told = [{**row, "seconds": seconds[row["algorithm"]]} for row in _rows(found, pipeline, plain)]
    best_first = pd.DataFrame(told).sort_values("gain", ascending=False, kind="stable")
    return best_first.reset_index(drop=True)


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
    """A sample of the rows with a known target: four fifths of the days, and the newest fifth."""
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
    if len(days) < 2:  # noqa: PLR2004  # an earlier and a later one
        message = "gold has known targets on fewer than two days"
        raise TrainingError(message, pipeline=pipeline.name, hint="deliver more, or wait")
    first = days[-max(len(days) // _LATER, 1)]
    later = pc.greater_equal(known["_interval"].cast(pa.int32()), pa.scalar(first, pa.int32()))
    earlier = known.filter(pc.invert(later))
    task = Task(pipeline.target.task)
    return _Sides(pipeline, earlier, known.filter(later), Classes.fit(task, earlier[target]))
