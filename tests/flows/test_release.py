"""What is held waits for a named person, is released once, and is told of with the name."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from flows.cli import main
from headrace.evaluation import history
from headrace.faults import VARIABLE
from headrace.held import waiting
from headrace.lake import Table, application_id, commit, stage_file
from headrace.models import registry
from headrace.stage import Outcome, StageResult
from headrace.verify import verify
from ray_tasks.predict import schemas

REASON = "prediction 2000 is 33 times the range of recent targets from their median"
DAY = "2014-01-05"
WHO = ("--by", "Ada Byron", "--reason", "a fair in town")


@pytest.fixture
def holding(scored):
    """A lake in which ride 4 is scored and ride 5 is held, as the second scoring of the day."""
    pipeline, lake = scored()
    table = lake.scores("rides")
    rows, gold = Table(table).arrow(), Table(lake.gold("rides"))
    held = rows.filter(pc.equal(rows["id"], 5))
    for name, value in (("_reason", pa.scalar(REASON)), ("_scoring", pa.scalar(2, pa.int64()))):
        held = held.append_column(name, pa.repeat(value, 1))
    columns = schemas(gold.schema, ("id",), pipeline.target)
    kept = rows.filter(pc.equal(rows["id"], 4))
    for path, found, schema, before in (
        (lake.held("rides"), held, columns.held, 0),
        (table, kept, columns.scores, 1),
    ):
        day = found["_interval"][0].as_py()
        names = [name for name in schema.names if name != "_interval"]
        commit(
            path,
            [stage_file(path, found.select(names), partition={"_interval": day})],
            schema=schema,
            unit=application_id("rides", "score", DAY),
            partition_by=["_interval"],
            replace=[("_interval", "=", DAY)] if before else None,
            recorded=before,
            repeatable=True,
            metadata={"headrace": f'{{"gold": {gold.version}}}'},
        )
    return lake


def scores_of(lake):
    return {row["id"]: row for row in Table(lake.scores("rides")).arrow().to_pylist()}


def states(lake):
    return {finding.name: finding.state for finding in verify(lake.root)}


@pytest.mark.usefixtures("holding")
def test_what_is_held_is_listed_with_the_way_to_release_it(headrace):
    code, out, _ = headrace("release", "pipeline.yaml")
    assert code == 0
    assert "1 forecasts" in out
    assert DAY in out
    assert out.splitlines()[-1].startswith(
        f"next: look, then `headrace release pipeline.yaml {DAY}"
    )
    _, out, _ = headrace("release", "pipeline.yaml", "--json")
    (told,) = json.loads(out)
    assert (told["unit"], told["rows"], told["why"], told["release"]) == (DAY, 1, REASON, None)


def test_a_lake_without_anything_held_says_so(headrace, scored):
    scored()
    code, out, _ = headrace("release", "pipeline.yaml")
    assert (code, "nothing of rides is held" in out) == (0, True)


def test_a_release_puts_the_forecasts_among_the_scores_and_keeps_who_and_why(headrace, holding):
    held = Table(holding.held("rides")).arrow().to_pylist()[0]
    assert scores_of(holding).keys() == {4}
    code, out, _ = headrace("release", "pipeline.yaml", DAY, *WHO)
    assert code == 0
    assert f"released: 1 forecasts of {DAY}, by Ada Byron on" in out
    assert "a fair in town" in out
    assert out.splitlines()[-1].startswith("next: `headrace run pipeline.yaml --only report`")
    found = scores_of(holding)
    assert found[5] == {name: held[name] for name in found[4]}
    (row,) = Table(holding.releases).arrow().to_pylist()
    assert (row["kind"], row["unit"], row["rows"]) == ("forecasts", DAY, 1)
    assert (row["by"], row["reason"]) == ("Ada Byron", "a fair in town")


def test_a_second_release_says_who_was_first_and_changes_nothing(headrace, holding):
    headrace("release", "pipeline.yaml", DAY, *WHO)
    before = Table(holding.scores("rides")).version, Table(holding.releases).version
    again = ("release", "pipeline.yaml", DAY, "--by", "Bob", "--reason", "me too")
    code, out, _ = headrace(*again)
    assert code == 0
    assert f"released already: 1 forecasts of {DAY}, by Ada Byron on" in out
    assert "nothing was changed" in out
    told = json.loads(headrace(*again, "--json")[1])
    assert (told["by"], told["outcome"]) == ("Ada Byron", "already_done")
    assert (Table(holding.scores("rides")).version, Table(holding.releases).version) == before


def test_no_row_is_lost_or_doubled_before_and_after_a_release(headrace, holding):
    assert states(holding)["scores of rides"] == "ok"
    headrace("release", "pipeline.yaml", DAY, *WHO)
    assert set(states(holding).values()) == {"ok"}
    code, out, _ = headrace("rebuild", "--all")
    assert (code, "2 scores" in out) == (0, True)


@pytest.mark.usefixtures("holding")
def test_what_is_held_is_rebuilt_neither_with_the_others_nor_by_its_key(headrace):
    code, out, _ = headrace("rebuild", "--all")
    assert (code, "1 scores" in out) == (0, True)
    code, _, err = headrace("rebuild", "id=5")
    assert (code, f"it is held, and not among the scores: {REASON}" in err) == (2, True)


def test_a_release_that_was_ended_halfway_is_completed_by_the_next(headrace, holding, monkeypatch):
    monkeypatch.setenv(VARIABLE, "release.after_commit:raise")
    assert headrace("release", "pipeline.yaml", DAY, *WHO)[0] == 1
    monkeypatch.delenv(VARIABLE)
    assert scores_of(holding).keys() == {4}
    assert states(holding)["scores of rides"] == "warn"
    code, out, _ = headrace("release", "pipeline.yaml", DAY, "--by", "Bob", "--reason", "again")
    assert code == 0
    assert "by Ada Byron" in out
    assert "only now they are among the scores" in out
    assert scores_of(holding).keys() == {4, 5}
    assert states(holding)["scores of rides"] == "ok"


@pytest.mark.usefixtures("holding")
def test_the_explanation_of_a_score_tells_that_it_was_held_and_who_released_it(headrace):
    code, out, _ = headrace("explain", "id=5")
    assert code == 0
    assert f"held: {REASON}; it is not among the scores" in out
    assert f"`headrace release pipeline.yaml {DAY} --by NAME" in out.splitlines()[-1]
    headrace("release", "pipeline.yaml", DAY, *WHO)
    told = json.loads(headrace("explain", "id=5", "--json")[1])["held"]
    assert (told["reason"], told["published"]) == (REASON, True)
    assert (told["release"]["by"], told["release"]["reason"]) == ("Ada Byron", "a fair in town")
    assert "released by Ada Byron on" in headrace("explain", "id=5")[1]
    assert json.loads(headrace("explain", "id=4", "--json")[1])["held"] is None


@pytest.mark.usefixtures("holding")
def test_the_history_of_the_interval_tells_of_the_release(headrace):
    headrace("release", "pipeline.yaml", DAY, *WHO)
    events = json.loads(headrace("history", "rides", DAY, "--json")[1])
    told = [event["told"] for event in events if event["table"] == "scores/rides"]
    assert told[-1]["released_by"] == "Ada Byron"
    assert told[-1]["gold"] == told[-2]["gold"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["2014-01-06", *WHO], "nothing of '2014-01-06' is held; did you mean '2014-01-05'?"),
        (["abcdef", *WHO], "nothing of 'abcdef' is held"),
        ([DAY], "a release takes the name of a person and a reason"),
        ([DAY, "--by", "Ada", "--reason", "  "], "a release takes the name of a person"),
        (WHO, "it takes an interval or a model to release"),
    ],
)
def test_what_cannot_be_released_exits_2_and_changes_nothing(headrace, holding, words, told):
    code, out, err = headrace("release", "pipeline.yaml", *words)
    assert (code, out) == (2, "")
    assert told in err
    assert not Table.exists(holding.releases)


def test_what_was_refused_cannot_be_released(headrace, scored):
    pipeline, lake = scored()
    rows = Table(lake.gold("rides")).arrow().slice(0, 1)
    schema = schemas(Table(lake.gold("rides")).schema, ("id",), pipeline.target).refused
    rows = rows.append_column("_reason", pa.array(["prediction 9e9 is 333 times the range"]))
    for name in ("_model", "_run"):
        rows = rows.append_column(name, pa.array(["x"]))
    table, day = lake.refused("rides"), rows["_interval"][0].as_py()
    names = [name for name in schema.names if name != "_interval"]
    commit(
        table,
        [stage_file(table, rows.select(names), partition={"_interval": day})],
        schema=schema,
        unit=application_id("rides", "score", DAY),
        partition_by=["_interval"],
    )
    code, _, err = headrace("release", "pipeline.yaml", DAY, *WHO)
    assert code == 2
    assert f"1 forecasts of {DAY} were refused, such as: prediction 9e9" in err
    assert "cannot be released" in err


def test_what_waits_is_told_by_the_logs_without_a_look_at_its_rows(holding):
    for path in holding.held("rides").rglob("*.parquet"):
        path.unlink()
    assert waiting(holding, "rides") == {date.fromisoformat(DAY): 1}


@pytest.fixture
def holding_a_model(scored):
    """A lake whose newest training would have promoted a model, were it steady; its digest."""
    lake = scored()[1]
    champion = registry.champion(lake, "rides")
    model, at = registry.load(lake, "rides", champion.model), champion.moment
    recipe = replace(model.recipe, seed=8)
    far = registry.store(lake, replace(model, recipe=recipe), {"moment": at.isoformat()})
    told = {"promoted": False, "shipped": "best_lookup", "sentence": "It is held."}
    gain = {"over": "best_lookup", "metric": "roc_auc", "value": 0.1, "low": 0.0, "high": 0.2}
    detail = {
        "leaderboard": [],
        "test": [],
        "gain": gain,
        "decision": told,
        "model": champion.model,
        "held": {"candidate": "far", "model": far, "verdict": "held"},
        "inspection": {"stability": {"sentence": "It goes far."}},
    }
    result = StageResult(
        name="train", subject="rides", units=("2014-01-04",), outcome=Outcome.DONE, detail=detail
    )
    history.keep(lake, result, moment=at, run="r0", evaluated_at=at)
    return far


def test_a_model_that_a_person_released_is_a_promotion(headrace, holding_a_model):
    demanded = ("train", "--require-promotion")
    code, _, err = headrace(*demanded)
    assert code == 3
    assert f"`headrace release FILE {holding_a_model[:12]}` releases it" in err
    assert headrace("release", "pipeline.yaml", holding_a_model[:8], *WHO)[0] == 0
    code, out, err = headrace(*demanded)
    assert (code, "already done" in out) == (0, True), err


@pytest.mark.usefixtures("holding")
def test_a_shell_completes_what_is_held(monkeypatch, capsys):
    monkeypatch.setenv("_HEADRACE_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "headrace release pipeline.yaml 20")
    monkeypatch.setenv("COMP_CWORD", "3")
    monkeypatch.setattr("sys.argv", ["headrace"])
    with pytest.raises(SystemExit):
        main([])
    assert capsys.readouterr().out.split() == [DAY]
