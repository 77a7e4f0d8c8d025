from __future__ import annotations

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from headrace.errors import UsageError
from headrace.models.algorithms import named
from headrace.models.algorithms.algorithm import Samples, Task
from headrace.models.algorithms.rules import as_sql, described_rules
from headrace.models.encoding import Encoding

NAMES = ["o'dest", 'a "b`c', "hour"]


def rows_of(seed, rows=1500):
    rng = np.random.default_rng(seed)
    dest = rng.choice(["SFO", "it's", "back\\slash", "BOS"], rows)
    wind = rng.normal(10, 5, rows)
    wind[rng.random(rows) < 0.05] = np.nan
    hour = rng.integers(0, 24, rows)
    y = (rng.random(rows) < 0.1 + 0.5 * (dest == "it's") + 0.3 * (hour > 17)).astype(float)
    table = pa.table(
        {
            NAMES[0]: pa.array(dest, mask=rng.random(rows) < 0.05),
            NAMES[1]: pa.array(wind),  # NaN, and null below
            NAMES[2]: pa.array(hour, mask=rng.random(rows) < 0.05),
        }
    )
    return table, y, 3 * y + np.nan_to_num(wind) / 10


@pytest.fixture(params=[Task.BINARY, Task.REGRESSION])
def fitted(request):
    table, y, value = rows_of(1)
    encoding = Encoding.fit(table, NAMES, form="codes")
    target = y if request.param is Task.BINARY else value
    train = Samples(encoding.matrix(table), target, encoding.categorical, task=request.param)
    entry = named("decision_list")
    given = {**entry.defaults, "max_terms": 2}
    found = entry.fit(train, given, seed=1, validation=None, metric="log_loss")
    scored, _, _ = rows_of(2)
    unknown = pa.table({**{n: scored[n] for n in NAMES}, NAMES[0]: pa.array(["LAX"] * 1500)})
    return found.estimator, encoding, pa.concat_tables([scored, unknown])


def test_the_case_gives_in_duckdb_what_predict_gives(fitted):
    estimator, encoding, rows = fitted
    assert len(estimator["rules"]) >= 2
    sql = as_sql(estimator, encoding, dialect="duckdb")
    found = duckdb.sql(f"SELECT {sql} AS p FROM rows").fetchnumpy()["p"]
    expected = named("decision_list").predict(estimator, encoding.matrix(rows))
    assert found.tobytes() == expected.tobytes()


def test_the_case_gives_in_spark_what_predict_gives(fitted, spark, tmp_path):
    import pyarrow.parquet as pq

    estimator, encoding, rows = fitted
    pq.write_table(rows, tmp_path / "rows.parquet")
    frame = spark.read.parquet(str(tmp_path / "rows.parquet"))
    frame.createOrReplaceTempView("rows")
    found = spark.sql(f"SELECT {as_sql(estimator, encoding)} AS p FROM rows").toPandas()["p"]
    expected = named("decision_list").predict(estimator, encoding.matrix(rows))
    assert found.to_numpy().tobytes() == expected.tobytes()


def test_rules_are_told_with_support_and_lift(fitted):
    estimator, encoding, _ = fitted
    lines = described_rules(estimator, encoding)
    assert len(lines) == len(estimator["rules"]) + 1
    assert "lift" in lines[0]
    assert "rows" in lines[0]
    assert lines[-1].startswith("otherwise")
    assert any("it's" in line for line in lines)


@pytest.mark.parametrize(
    ("within", "told"),
    [
        ([None, None, True, True], "hour is missing"),
        ([None, None, False, False], "hour is known"),
        ([2.0, 5.0, False, False], "2 < hour <= 5"),
        ([None, 5.0, True, False], "(hour <= 5 or missing)"),
    ],
)
def test_a_range_is_told_with_what_it_says_of_missing_cells(within, told):
    encoding = Encoding.fit(pa.table({"hour": [1.0, 2.0]}), ["hour"], form="codes")
    rule = {"when": [[0, "within", within]], "value": 0.5, "rows": 9, "lift": 1.0}
    otherwise = {"when": [], "value": 0.5, "rows": 9, "lift": 1.0}
    estimator = {"task": "binary", "present": [0, 1], "rules": [rule], "otherwise": otherwise}
    lines = described_rules(estimator, encoding, predicted=np.array([0.5, 0.5]))
    assert lines[0].startswith(f"{told}: 0.5;")


def test_more_classes_than_two_have_no_case():
    estimator = {"task": "multiclass", "classes": 3, "present": [0, 1, 2], "rules": []}
    with pytest.raises(UsageError, match="a probability per class"):
        as_sql(estimator, None)
