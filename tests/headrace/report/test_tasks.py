"""Scores of classes and of values, as the page tells them."""

from __future__ import annotations

from datetime import date

import pyarrow as pa
import pytest

from headrace.lake import commit, stage_file
from headrace.models.algorithms.algorithm import Task
from headrace.report.charts import day_chart
from headrace.report.records import read_records
from headrace.report.scores import scores, series
from headrace.report.training import higher_is_better, title, told

DAY = date(2013, 12, 1)


def keep(table, rows, unit):
    staged = stage_file(table, rows, partition={"_interval": DAY})
    schema = rows.schema.append(pa.field("_interval", pa.date32()))
    commit(table, [staged], schema=schema, unit=unit, partition_by=["_interval"])


@pytest.fixture
def found(pipeline, lake, tell):
    """Reads the scores of a day back, given what was predicted of four flights and what came."""

    def read(task, predicted, came, **more):
        target = pipeline.target.model_copy(update={"task": Task(task)})
        declared = pipeline.model_copy(update={"target": target})
        flights = {"flight": range(4)}
        keep(
            lake.scores("delays"),
            pa.table({**flights, **more, "prediction": predicted, "_model": ["m"] * 4}),
            "delays/score/2013-12-01",
        )
        keep(lake.gold("delays"), pa.table({**flights, "late": came}), "delays/features/a")
        counts = {"read": 4, "scored": 4, "refused": 0}
        tell("score", "delays", units=(str(DAY),), rows=counts)
        (day,) = scores(declared, lake, read_records(declared, lake, run="r1")).days
        return day, series(target)

    return read


def test_classes_are_told_by_how_sure_and_how_right_they_are(found):
    score = [0.5, 0.75, 0.25, 0.5]
    day, told_by = found("multiclass", list("abca"), ["a", "b", "b", None], score=score)
    assert (day.mean, day.predicted, day.observed, day.known) == (0.5, None, 2 / 3, 3)
    assert [each.told(each.of(day)) for each in told_by] == ["0.5000", "66.7 %"]


def test_values_are_told_by_their_means_whatever_their_sign(found):
    came = pa.array([-4.0, float("inf"), None, -2.0])
    day, told_by = found("regression", [-1.0, -2.0, -3.0, -4.0], came)
    assert (day.mean, day.predicted, day.observed, day.known) == (None, -2.5, -3.0, 2)
    chart = day_chart([day], told_by, from_zero=False)
    assert [line.kind for line in chart.lines] == ["predicted", "observed"]
    heights = [y for line in chart.lines for piece in line.pieces for _, y in piece]
    assert all(166 <= y <= 330 for y in heights)


def test_a_metric_with_a_unit_is_told_by_digits_and_others_by_decimals():
    assert told(12345.678, "rmse") == "12,346"
    assert told(0.0012345, "mae", signed=True) == "+0.001234"
    assert told(-0.5, "mae", signed=True) == "-0.5"
    assert told(0.0012345, "log_loss") == "0.0012"
    assert told(None, "rmse") == "—"


def test_a_metric_of_another_version_keeps_its_name():
    assert (title("gini"), higher_is_better("gini")) == ("gini", True)
    assert (title("rmse"), higher_is_better("rmse")) == ("RMSE", False)
