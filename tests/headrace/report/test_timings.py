"""What stages took, and what scores cost."""

import pytest
from pydantic import ValidationError

from headrace.report.page import render
from headrace.report.records import read_records
from headrace.report.timings import processor_seconds, scoring_cost, timings
from headrace.settings import Settings
from headrace.stage import Outcome, StageResult

SCORED = StageResult(
    name="score",
    subject="delays",
    units=("2013-12-01",),
    outcome=Outcome.DONE,
    rows={"read": 2000, "scored": 2000, "refused": 0},
    seconds=4.0,
    processor_seconds=7.2,
)


def test_a_thousand_scores_cost_their_part_of_a_core_hour():
    cost = scoring_cost(SCORED, "0.50 EUR")
    assert (cost.seconds, cost.processor_seconds) == (2.0, 3.6)
    assert cost.price == "0.000500 EUR"


def test_there_is_no_price_without_the_setting_or_without_a_measure():
    assert scoring_cost(SCORED, None).price == ""
    unmeasured = StageResult(**{**vars(SCORED), "processor_seconds": None})
    assert scoring_cost(unmeasured, "0.50 EUR").price == ""
    assert scoring_cost(StageResult(**{**vars(SCORED), "rows": {}}), "0.50 EUR") is None


def test_the_page_tells_time_rows_per_second_and_the_price(pipeline, lake, whole_run, tell):
    told = {"units": ("2013-12-01", "2013-12-02"), "rows": {"read": 4, "scored": 4, "refused": 0}}
    tell("score", "delays", **told, seconds=2.0, processor_seconds=3.6)
    page = " ".join(render(pipeline, lake, run=whole_run, core_hour_price="10 EUR").split())
    assert "Each 1,000 scores took 8:20 min of wall time and 15:00 min of processor time" in page
    assert "which cost <b>2.50 EUR</b>" in page
    assert '<td class="number">3.6 s</td> <td class="number">2</td></tr>' in page
    assert "EUR" not in render(pipeline, lake, run=whole_run)


def test_a_stage_that_was_not_measured_says_so(pipeline, lake, whole_run):
    page = render(pipeline, lake, run=whole_run)
    assert page.count('<td class="number">not measured</td>') == 7
    records = read_records(pipeline, lake, run=whole_run)
    assert processor_seconds(records) is None


def test_rows_of_a_training_are_those_of_all_parts(pipeline, lake, tell):
    rows = {"train": 60, "validation": 20, "test": 20, "without_known_target": 900}
    tell("train", "delays", rows=rows, seconds=2.0, processor_seconds=1.5)
    records = read_records(pipeline, lake, run="r1")
    rates = {one.stage: one.rate for one in timings(records)}
    assert (rates["train"], rates["score"]) == (50.0, None)
    assert processor_seconds(records) == 1.5


@pytest.mark.parametrize("price", ["0.05", "EUR", "0,05 EUR", "0.05 EUR each", "-1 EUR"])
def test_a_price_without_amount_and_currency_is_refused(price):
    with pytest.raises(ValidationError):
        Settings(core_hour_price=price)


def test_only_a_cluster_works_elsewhere():
    assert Settings().works_here("check")
    cluster = Settings(spark_master="spark://host:7077")
    assert [cluster.works_here(stage) for stage in ("ingest", "train")] == [False, True]
    assert not Settings(ray_address="10.0.0.1:6379").works_here("score")
