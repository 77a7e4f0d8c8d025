from __future__ import annotations

import io
import logging
import time

import pytest
from prefect.states import Completed, Failed
from rich.console import Console

from flows.execution import LOG, Execution, Request
from flows.pipeline import _in_order, _is_transient, ingest, pipeline
from flows.progress import progress
from headrace import runs
from headrace.errors import ChecksFailed, CommitConflict, EngineLost, Transient, UnreadableInput
from headrace.lake import Lake, Table
from headrace.lake.claims import Disk, claimed
from headrace.settings import Settings
from headrace.spec import load
from headrace.stage import Outcome, StageResult


@pytest.fixture
def execution(folder):
    request = Request(
        load(folder / "pipeline.yaml"), Settings(lake=folder / "lake", short_runs=True), "r"
    )
    return Execution(request)


def failed(error):
    return Failed(data=error)


def test_a_source_comes_after_the_one_whose_values_its_rules_read(execution):
    order = _in_order(execution)
    assert sorted(order) == ["ends", "lines", "rides"]
    assert list(order).index("lines") < list(order).index("rides")
    assert order["rides"] == {"lines"}


@pytest.mark.parametrize(
    "error", [CommitConflict("another writer"), EngineLost("Spark went away", hint="wait")]
)
def test_what_may_succeed_later_is_retried(error):
    assert isinstance(error, Transient)
    assert _is_transient(ingest, None, failed(error))


@pytest.mark.parametrize(
    "error", [ChecksFailed("a rule"), UnreadableInput("a file"), ValueError("a fault"), OSError()]
)
def test_what_cannot_is_not(error):
    assert not _is_transient(ingest, None, failed(error))


def test_a_task_that_did_its_work_is_not_retried():
    assert not _is_transient(ingest, None, Completed(data="done"))


@pytest.mark.parametrize(
    ("first", "only", "wanted"),
    [
        ("ingest", None, ["ingest", "check", "features", "train", "score", "report"]),
        ("train", None, ["train", "score", "report"]),
        ("ingest", "score", ["score"]),
    ],
)
def test_a_request_names_its_stages(folder, first, only, wanted):
    request = Request(load(folder / "pipeline.yaml"), Settings(), "r", first=first, only=only)
    stages = ("ingest", "check", "features", "train", "score", "report")
    assert [stage for stage in stages if Execution(request).wants(stage)] == wanted


def test_a_run_whose_work_another_run_has_claimed_does_nothing_and_says_so(folder, execution):
    lake = Lake(folder / "lake")
    unit = execution.units[0]
    with claimed(Disk(lake.claims), [unit], owner="r0"):
        told = pipeline.fn(str(folder / "pipeline.yaml"), "r1", lake=str(lake.root))
    assert told.name == "AlreadyRunning"
    assert told.message == f"already running: run r0 is at {unit}"
    assert not Table.exists(lake.files)
    assert not lake.runs("r1").exists()


def test_a_run_that_finds_nothing_to_do_says_so_and_leaves_nothing(folder):
    lake = Lake(folder / "lake")
    told = pipeline.fn(str(folder / "pipeline.yaml"), lake=str(lake.root), only="features")
    assert told.name == "AlreadyDone"
    assert told.message == "already done: nothing was run and nothing was written"
    assert not (lake.root / "runs").exists()


def test_work_is_what_is_wanted_and_not_done(folder):
    def has_work(**wanted):
        request = Request(
            load(folder / "pipeline.yaml"), Settings(lake=folder / "lake"), "r", **wanted
        )
        return Execution(request).has_work

    assert has_work()
    assert has_work(only="ingest")
    assert has_work(only="report")
    assert not has_work(only="features")


def test_progress_prints_a_line_per_stage_that_ended():
    console = Console(file=io.StringIO(), width=200)
    with progress(console):
        LOG.info("ingest rides started", extra={"stage": "ingest", "subject": "rides"})
        LOG.info("ingest rides done in 1 s", extra={"stage": "ingest", "subject": "rides"})
    lines = [line for line in console.file.getvalue().splitlines() if line.strip()]
    assert len(lines) == 1
    assert lines[0].endswith("s  ingest rides done in 1 s")


def test_progress_of_a_long_stage_prints_no_line():
    console = Console(file=io.StringIO())
    with progress(console):
        LOG.info("3 / 40 trials, best so far roc_auc 0.7 by lightgbm", extra={"ongoing": "train"})
    assert "trials" not in console.file.getvalue()


def test_progress_of_a_long_stage_is_seen_on_a_terminal():
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    with progress(console):
        LOG.info("3 / 40 trials", extra={"ongoing": "train"})
        time.sleep(0.3)
    assert "train: 3 / 40 trials" in console.file.getvalue()


def test_progress_keeps_brackets_in_a_reason():
    console = Console(file=io.StringIO(), width=200)
    with progress(console):
        LOG.info("check rides failed: rows [1, 2]", extra={"stage": "check", "subject": "rides"})
    assert "rows [1, 2]" in console.file.getvalue()


def test_progress_leaves_the_log_as_it_was():
    before = LOG.level, LOG.propagate, list(LOG.handlers)
    with progress(Console(file=io.StringIO())):
        assert LOG.level == logging.INFO
    assert (LOG.level, LOG.propagate, list(LOG.handlers)) == before


def test_the_page_of_a_run_tells_what_scores_cost_at_the_price_of_the_settings(scored):
    declared, lake = scored()
    told = StageResult(
        name="score",
        subject="rides",
        units=("2014-01-05",),
        outcome=Outcome.DONE,
        rows={"read": 2, "scored": 2, "refused": 0},
        seconds=2.0,
        processor_seconds=3.6,
    )
    runs.keep(told, lake.runs("r1"))
    settings = Settings(lake=lake.root, core_hour_price="10 EUR")
    page = Execution(Request(declared, settings, "r1")).report()
    assert "which cost <b>5.00 EUR</b>" in page.read_text()
    assert "2014-01-05: 2 rows, median" in page.read_text()


@pytest.mark.parametrize(
    ("stage", "is_measured"), [("check", False), ("train", True), ("score", True)]
)
def test_a_stage_on_a_cluster_is_not_measured(folder, stage, is_measured):
    settings = Settings(lake=folder / "lake", spark_master="spark://host:7077")
    execution = Execution(Request(load(folder / "pipeline.yaml"), settings, "r"))
    result = execution._call(  # noqa: SLF001 - a stage of its own would need the cluster
        stage,
        "rides",
        lambda: StageResult(name=stage, subject="rides", units=(), outcome=Outcome.DONE),
    )
    assert (result.processor_seconds is not None) is is_measured
