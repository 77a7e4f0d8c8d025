"""What a worker does to score one interval, against the library's bare predict plus a read.

    python -P -m benchmarks.scoring --rows 1000000 --rounds 3

In turn in one process, one thread each, in CPU seconds: `ours` is the worker's whole task (checks,
read, matrix, predict, files of scores, synced), `bare` reads the same features with pyarrow into
one array and calls the library. With --processes, the wall seconds of one process with all tasks
beside those of two with half of them each, and of one with two threads.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from datetime import date
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from headrace.evaluation.metrics import Metric
from headrace.lake import Lake, Table, commit, stage_file
from headrace.models import registry
from headrace.models.algorithms import named
from headrace.models.algorithms.algorithm import Samples
from headrace.models.encoding import Encoding, Kind
from headrace.models.model import Model, Recipe
from headrace.spec.model import Target
from ray_tasks.predict import Task, predict

DAY = date(2013, 1, 1)
NUMBERS, TEXTS = 18, 2
MISSING = 0.05  # of the numbers
TREES = {
    "xgboost": {"n_estimators": 100},
    "lightgbm": {"n_estimators": 100},
    "hist_gradient_boosting": {"max_iter": 100},
    "random_forest": {"n_estimators": 100, "min_samples_leaf": 50},
    "logistic_regression": {},
    "stacking": {"lightgbm.n_estimators": 50, "extra_trees.n_estimators": 20},
}


def made(rows: int, *, seed: int) -> pa.Table:
    """Rows of numbers and texts, one in twenty missing, and a target that depends on some."""
    rng = np.random.default_rng(seed)
    numbers = {f"x{i}": rng.normal(size=rows) for i in range(NUMBERS)}
    texts = {f"c{i}": rng.integers(0, 20, rows) for i in range(TEXTS)}
    signal = numbers["x0"] * numbers["x1"] + np.sin(3 * numbers["x2"]) + (texts["c0"] == 0)
    labels = pa.array([f"category {code:02}" for code in range(20)])
    return pa.table(
        {
            "id": np.arange(rows),
            **{
                name: pa.array(each, mask=rng.random(rows) < MISSING)
                for name, each in numbers.items()
            },
            **{name: labels.take(pa.array(each)) for name, each in texts.items()},
            "late": signal + rng.normal(size=rows) > 0,
        }
    )


def gold(lake: Lake, rows: int, *, file_rows: int) -> Table:
    """The features of one interval as files of so many rows."""
    path, staged = lake.gold("rides"), []
    for number, start in enumerate(range(0, rows, file_rows)):
        part = made(min(file_rows, rows - start), seed=number)
        part = part.append_column("_fingerprint", pa.array(["f"] * part.num_rows))
        staged.append(stage_file(path, part, partition={"_interval": DAY}))
    schema = part.schema.append(pa.field("_interval", pa.date32()))
    commit(path, staged, schema=schema, unit="rides/gold", partition_by=("_interval",))
    return Table(path)


def fitted(lake: Lake, name: str) -> Model:
    """A model of 20,000 rows, stored."""
    rows = made(20_000, seed=99)
    features = [column for column in rows.column_names if column not in {"id", "late"}]
    encoding = Encoding.fit(rows, features, form=named(name).needs.categories)
    y = rows["late"].cast(pa.int8()).to_numpy().astype(float)
    train = Samples(encoding.matrix(rows), y, encoding.categorical)
    given = {**named(name).defaults, **TREES[name]}
    estimator = named(name).fit(train, given, seed=7, validation=None, metric=Metric.LOG_LOSS)
    recipe = Recipe("rides", "late", name, given, 7, "2013-01-01T00:00:00Z", "", "")
    model = Model(recipe, encoding, estimator.estimator)
    registry.store(lake, model, {"algorithm": name, "features": model.signature})
    return model


def tasks(lake: Lake, table: Table, model: Model, *, compiled: bool) -> list[Task]:
    """A task per file, as the stage makes them."""
    return [
        Task(
            root=lake.root,
            pipeline="rides",
            key=("id",),
            target=Target(name="late", of="rides", value="late"),
            model=model.digest,
            day=DAY,
            gold_version=table.version,
            files=(file,),
            score_version=1,
            run="r",
            compiled=compiled,
        )
        for file in table.files
    ]


def ours(work: Sequence[Task]) -> float:
    """Does the tasks one after the other; CPU seconds."""
    began = time.process_time()
    for task in work:
        predict(task)
    return time.process_time() - began


def bare(table: Table, model: Model) -> float:
    """Reads and predicts with nothing around; CPU seconds."""
    began = time.process_time()
    for file in table.files:
        names = list(model.encoding.names)
        rows = pq.read_table(table.path / file.path, columns=names)
        X = np.empty((rows.num_rows, len(names)), dtype=np.float64)
        for place, column in enumerate(model.encoding.columns):
            cells = rows.column(column.name)
            if column.kind is Kind.CATEGORY:
                cells = pc.index_in(cells, value_set=pa.array(column.categories)).cast(pa.float64())
            X[:, place] = cells.to_numpy()
        _bare(model)(X)
    return time.process_time() - began


def _bare(model: Model) -> Callable[..., Any]:
    if model.recipe.algorithm == "lightgbm":
        return lambda X: model.estimator.predict(X, num_threads=1)
    if model.recipe.algorithm == "xgboost":
        model.estimator.set_param({"nthread": 1})
        return model.estimator.inplace_predict
    return lambda X: model.algorithm.predict(model.estimator, X)


def split(work: Sequence[Task], processes: int) -> float:
    """Wall seconds of so many processes, each with its share of the tasks."""
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        list(pool.map(ours, [work[:1]] * processes))  # loads what is loaded on use
        began = time.monotonic()
        list(pool.map(ours, [work[place::processes] for place in range(processes)]))
        return time.monotonic() - began


def threads(work: Sequence[Task], count: int) -> float:
    """Wall seconds of one process whose threads share the tasks."""
    with ThreadPoolExecutor(count) as pool:
        began = time.monotonic()
        list(pool.map(lambda task: ours([task]), work))
        return time.monotonic() - began


def main() -> None:
    """Prints a line per algorithm."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--file-rows", type=int, default=500_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--algorithms", nargs="+", default=list(TREES), choices=list(TREES))
    parser.add_argument("--processes", action="store_true", help="compare processes, too")
    parser.add_argument("--compiled", action="store_true", help="LightGBM by lleaves")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(Path(folder))
        table = gold(lake, given.rows, file_rows=given.file_rows)
        for name in given.algorithms:
            model = fitted(lake, name)
            work = tasks(lake, table, model, compiled=given.compiled)
            ours(work[:1])
            one_hot = model.encoding.form == "one_hot"
            found = [
                (ours(work), 0.0 if one_hot else bare(table, model)) for _ in range(given.rounds)
            ]
            a, b = (statistics.median(each) for each in zip(*found, strict=True))
            told = "no bare form" if one_hot else f"bare {b:.2f} s, ratio {a / b:.3f}"
            print(f"{name}: ours {a:.2f} s, {given.rows / a:,.0f} rows/s, {told}")
            if given.processes:
                one, two, threaded = split(work, 1), split(work, 2), threads(work, 2)
                print(
                    f"  wall: one process {one:.2f} s, two {two:.2f} s, "
                    f"one with two threads {threaded:.2f} s"
                )


if __name__ == "__main__":
    main()
