"""What differs between two runs, from what they left in the lake."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest

from headrace import runs
from headrace.lake import Lake, commit, stage_file
from headrace.spec import load
from headrace.stage import Outcome, StageResult

FIRST, SECOND, THIRD = "2014-01-05T05-00-00-aaaa", "2014-01-06T05-00-00-bbbb", "2014-01-07"


def checked(*, batch, silver, unexpected, seconds=1.0):
    verdict = {"rule": "not_null_line", "success": not unexpected, "unexpected": unexpected}
    return StageResult(
        name="check",
        subject="rides",
        units=(batch,),
        outcome=Outcome.DONE,
        rows={"read": 100, "silver": silver},
        seconds=seconds,
        detail={"verdicts": [{**verdict, "rows": 100}]},
    )


def trained(*, value, promoted, model):
    return StageResult(
        name="train",
        subject="rides",
        units=("2014-01-04",),
        outcome=Outcome.DONE,
        seconds=9.0,
        detail={
            "leaderboard": [{"candidate": "lightgbm", "validation": {"roc_auc": value}}],
            "test": [{"candidate": "lightgbm", "metrics": {"roc_auc": {"value": value}}}],
            "gain": {"value": 0.1, "over": "class_prior"},
            "decision": {"promoted": promoted, "sentence": f"promoted: {promoted}"},
            "model": model,
        },
    )


@pytest.fixture
def lake(folder):
    """Two runs: the spec, a batch, the rows, a verdict, the metric and the model differ."""
    lake = Lake(folder / "lake")
    runs.describe(load("pipeline.yaml"), lake.runs(FIRST))
    runs.keep(checked(batch="b1", silver=100, unexpected=0), lake.runs(FIRST))
    runs.keep(trained(value=0.8, promoted=True, model="m1"), lake.runs(FIRST))
    text = (folder / "pipeline.yaml").read_text()
    (folder / "pipeline.yaml").write_text(text.replace("delay > 15", "delay > 20"))
    runs.describe(load("pipeline.yaml"), lake.runs(SECOND))
    runs.keep(checked(batch="b2", silver=97, unexpected=3, seconds=4.0), lake.runs(SECOND))
    runs.keep(trained(value=0.7, promoted=False, model="m2"), lake.runs(SECOND))
    return lake


def changes(headrace, *words):
    code, out, err = headrace("diff", *words, "--json")
    assert (code, err) == (0, "")
    told = json.loads(out)
    return told, {(c["section"], c["what"]): (c["before"], c["after"]) for c in told["changes"]}


@pytest.mark.usefixtures("lake")
def test_what_differs_is_told_and_nothing_else(headrace):
    told, found = changes(headrace)  # the newest two
    assert (told["first"], told["second"], told["same"]) == (FIRST, SECOND, False)
    assert found == {
        ("inputs", "check rides: batches"): (["b1"], ["b2"]),
        ("spec", "target.value"): ("delay > 15", "delay > 20"),
        ("rows", "check rides: silver"): (100, 97),
        ("checks", "rides: not_null_line"): ("kept", "broken, 3 of 100 rows"),
        ("training", "validation roc_auc of lightgbm"): (0.8, 0.7),
        ("training", "test roc_auc of lightgbm"): (0.8, 0.7),
        ("training", "promoted"): (True, False),
        ("training", "decision"): ("promoted: True", "promoted: False"),
        ("model", "shipped"): ("m1", "m2"),
    }
    assert told["seconds"] == {"check rides": [1.0, 4.0], "train rides": [9.0, 9.0]}


@pytest.mark.usefixtures("lake")
def test_a_run_and_itself_differ_in_nothing(headrace):
    told, found = changes(headrace, "last", SECOND)
    assert (told["same"], found) == (True, {})
    code, out, _ = headrace("diff", SECOND, SECOND)
    assert code == 0
    assert "nothing differs but the times" in out


def test_a_stage_of_one_run_alone_is_one_line(headrace, lake):
    runs.keep(checked(batch="b2", silver=97, unexpected=3), lake.runs(THIRD))
    told, found = changes(headrace, SECOND, THIRD)
    assert found == {("stages", "train rides"): ("done", None)}
    assert told["notes"] == [f"{THIRD} kept neither its spec nor its libraries"]


def test_features_that_changed_between_the_runs_are_told_by_day(headrace, lake):
    for run, stamps in ((FIRST, ("a", "b")), (SECOND, ("a", "c"))):
        days = [pa.scalar(f"2014-01-0{n}").cast(pa.date32()).as_py() for n in (4, 5)]
        files = [
            stage_file(
                lake.gold("rides"),
                pa.table({"id": [1], "_fingerprint": [stamp]}),
                partition={"_interval": day},
            )
            for day, stamp in zip(days, stamps, strict=True)
        ]
        made = commit(
            lake.gold("rides"),
            files,
            schema=pa.schema(
                [("id", pa.int64()), ("_fingerprint", pa.string()), ("_interval", pa.date32())]
            ),
            unit=f"rides/features/{run}",
            partition_by=["_interval"],
            replace=[("_interval", "in", ["2014-01-04", "2014-01-05"])] if run == SECOND else None,
            repeatable=True,
        )
        result = StageResult(
            name="features",
            subject="rides",
            units=("2014-01-05",),
            outcome=Outcome.DONE,
            tables={"gold": made.version},
        )
        runs.keep(result, lake.runs(run))
    _, found = changes(headrace)
    assert found["inputs", "features rides: fingerprints changed"] == (None, "2014-01-05")


@pytest.mark.usefixtures("lake")
@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["2014"], "2 runs begin with '2014'"),
        (["2013"], "no run '2013'"),
        (["last", "2014-01-06T05-00-00-bbbc"], f"there are {SECOND}"),
    ],
)
def test_a_run_that_is_not_there_exits_2_and_names_those_that_are(headrace, words, told):
    code, out, err = headrace("diff", *words)
    assert (code, out) == (2, "")
    assert told in err


def test_without_a_second_run_it_says_so(headrace):
    code, _, err = headrace("diff")
    assert code == 2
    assert "there are 0 runs, and 'previous' takes 2" in err


def test_what_may_come_from_the_environment_is_kept_as_a_digest(folder, monkeypatch):
    monkeypatch.setenv("FEED", "a-secret-place")
    text = (folder / "pipeline.yaml").read_text()
    text = text.replace("landing/rides/", "landing/${env:FEED}/") + "env: [FEED]\n"
    (folder / "pipeline.yaml").write_text(text)
    runs.describe(load("pipeline.yaml"), folder / "r1")
    kept = (folder / "r1" / "about" / "run.json").read_text()
    assert "a-secret-place" not in kept
    assert "delay > 15" in kept
