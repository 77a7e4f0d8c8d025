"""Guards of a whole training: what is not steady is not promoted, and what ties goes first."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from headrace import held
from headrace.errors import UsageError
from headrace.lake import Table, application_id, commit, digest, stage_file
from headrace.models import registry
from headrace.release import release
from headrace.settings import Settings
from headrace.spec.model import Pipeline
from headrace.verify import verify
from ray_tasks.score import score
from ray_tasks.train import train

pytestmark = pytest.mark.usefixtures("ray_local")

LAGS = 24


WILD = 51  # the day on which a feed breaks: all lags of its first row are a million


def lags(day, first, *, rows=20):
    """Sales of a day, by the lags of a smooth series: each is nearly a sum of the others."""
    rng = np.random.default_rng(day.toordinal())
    at = (day - first).days + np.arange(rows) / rows + 30
    table = {}
    for lag in range(1, LAGS + 1):
        smooth = 100 + 10 * np.sin((at - lag) / 3) + 4 * np.sin((at - lag) / 1.3)
        broken = ((day - first).days == WILD) & (np.arange(rows) == 0)
        table[f"lag_{lag}"] = np.where(broken, 1e6, smooth + rng.normal(0, 1e-4, rows))
    sales = 100 + 10 * np.sin(at / 3) + 4 * np.sin(at / 1.3) + rng.normal(0, 1, rows)
    return pa.table({**table, "sales": sales})


def nearly_equal(day, _, *, rows=20):
    """Two numbers of which sales follow the small difference: one alone moves them far."""
    rng = np.random.default_rng(day.toordinal())
    here, between = rng.normal(0, 1, rows), rng.normal(0, 0.01, rows)
    sales = here + 300 * between + rng.normal(0, 0.5, rows)
    return pa.table({"here": here, "there": here - between, "sales": sales})


def rules(day, _, *, rows=60):
    """Late in the gusts of one place; nothing else counts."""
    rng = np.random.default_rng([0, day.toordinal()])
    wind, hour = rng.normal(0, 1, rows), rng.integers(5, 24, rows)
    dest = rng.integers(0, 3, rows)
    often = np.where((wind > 0.3) & (dest == 2), 0.95, 0.05)
    columns = {
        "wind": wind,
        "hour": pa.array(hour, pa.int32()),
        "dest": np.array(list("ABC"))[dest],
    }
    return pa.table({**columns, "late": rng.random(rows) < often})


WEEK = (0, 5, 10, 20, 60, 90, -40)  # sales of a weekday, beside what is so of a shop


def weeks(day, _, *, shops=20):
    """Sales of shops, each of a size of its own, with a week that no feature knows."""
    rng = np.random.default_rng([2, day.toordinal()])
    size, noise = np.arange(shops) * 7 % shops, rng.normal(0, 1, (2, shops))
    sales = 50.0 * size + WEEK[day.weekday()] + noise[1]
    return pa.table({"staff": 10.0 * size + noise[0], "sales": sales})


def write(lake, days, rows_of):
    table, files = lake.gold("flights"), []
    for day in days:
        rows = rows_of(day, days[0])
        start = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
        count, moment = rows.num_rows, pa.timestamp("us", "UTC")
        told = {
            "number": pa.array(range(count), pa.int32()),
            "at": pa.array([start] * count, moment),
            "_target_known_at": pa.array([start + timedelta(hours=9)] * count, moment),
            "_fingerprint": [digest(day.isoformat())] * count,
            "_labels": [digest(day.isoformat(), "labels")] * count,
        }
        for name, values in told.items():
            rows = rows.append_column(name, pa.array(values))
        files.append(stage_file(table, rows, partition={"_interval": day}))
    commit(
        table,
        files,
        schema=rows.schema.append(pa.field("_interval", pa.date32())),
        unit=application_id("flights", "features", "all"),
        partition_by=["_interval"],
    )


def trained(declared, lake, moment, *, features, target, algorithms):
    told = {
        **declared,
        "features": {
            "rows": "schedule",
            "at": "05:00",
            "columns": dict.fromkeys(features, "1"),
        },
        "target": target,
        "training": {**declared["training"], "algorithms": algorithms, "trials": 1},
    }
    pipeline = Pipeline.model_validate(told)
    result = train(pipeline, lake, Settings(lake=lake.root), moment=moment, run="r1")
    return pipeline, result.detail


def test_a_forecast_that_does_not_beat_the_same_series_a_week_ago_is_not_promoted(
    lake, declared, days, moment
):
    write(lake, days, weeks)
    target = {"name": "sales", "of": "arrivals", "value": "delay", "task": "regression"}
    told = {"features": ["staff"], "target": target, "algorithms": ["linear_regression"]}
    _, detail = trained(declared, lake, moment, **told)
    decision, gain = detail["decision"], detail["gain"]
    assert gain["low"] > 0, "it beats every baseline that predicts from the features"
    assert not decision["promoted"]
    assert decision["shipped"] != "linear_regression"
    assert decision["sentence"].startswith(
        "linear_regression does not beat number as it was a week ago by more than noise"
    )


def test_least_squares_on_collinear_lags_is_not_promoted_and_elastic_net_is(
    lake, declared, days, moment
):
    write(lake, days, lags)
    target = {"name": "sales", "of": "arrivals", "value": "delay", "task": "regression"}
    names = [f"lag_{lag}" for lag in range(1, LAGS + 1)]
    told = {"features": names, "target": target}
    earlier = moment - timedelta(days=1)
    _, detail = trained(declared, lake, earlier, algorithms=["linear_regression"], **told)
    stable, decision = detail["inspection"]["stability"], detail["decision"]
    assert stable["verdict"] == "refused"
    assert stable["feature"].startswith("lag_")
    assert not decision["promoted"]
    assert decision["shipped"] in {"mean", "median", "best_lookup", "best_column"}
    assert "linear_regression is refused, as it is not steady: with lag_" in decision["sentence"]
    with pytest.raises(UsageError, match=r"was refused: .* is refused, as it is not steady"):
        held.named(lake, "flights", detail["held"]["model"])
    pipeline, detail = trained(declared, lake, moment, algorithms=["elastic_net"], **told)
    assert detail["inspection"]["stability"]["verdict"] == "steady"
    assert detail["decision"]["shipped"] == "elastic_net"
    due = [days[WILD]]
    result = score(pipeline, lake, Settings(lake=lake.root), intervals=due, run="r2")
    assert result.rows == {"read": 20, "scored": 19, "refused": 1}
    (refused,) = Table(lake.refused("flights")).arrow().to_pylist()
    assert "times the range of recent targets from their median" in refused["_reason"]


def test_a_model_that_is_held_predicts_once_a_named_person_releases_it(
    lake, declared, days, moment
):
    write(lake, days, nearly_equal)
    pipeline, detail = trained(
        declared,
        lake,
        moment,
        features=["here", "there"],
        target={"name": "sales", "of": "arrivals", "value": "delay", "task": "regression"},
        algorithms=["linear_regression"],
    )
    assert detail["held"]["verdict"] == "held"
    assert not detail["decision"]["promoted"]
    assert "or have a named person look and release it" in detail["decision"]["sentence"]
    model = detail["held"]["model"]
    assert registry.champion(lake, "flights").model == detail["model"] != model
    looked = {each.name: each.found for each in verify(lake.root)}
    assert "until a person releases it" in looked[f"model {model[:12]} of flights"]
    what = held.named(lake, "flights", model[:8])
    now = datetime.now(UTC)
    release(lake, "flights", what, by="Ada Byron", reason="both move together", now=now)
    champion = registry.champion(lake, "flights")
    assert (champion.model, champion.moment) == (model, pipeline.at(moment))
    assert champion.previous == detail["model"]
    assert champion.decision.endswith("released by Ada Byron: both move together")
    again = held.named(lake, "flights", model)
    assert (again.published, again.release.by) == (True, "Ada Byron")
    assert not release(lake, "flights", again, by="Bob", reason="too", now=now)[1]
    assert len(registry.promotions(lake, "flights")) == 2
    result = score(pipeline, lake, Settings(lake=lake.root), intervals=[days[WILD]], run="r2")
    assert set(result.detail["models"].values()) == {model}
    assert all(finding.state != "fail" for finding in verify(lake.root))


def test_a_decision_list_is_met_and_goes_before_a_model_that_it_ties(lake, declared, days, moment):
    write(lake, days, rules)
    target = {"name": "late", "of": "arrivals", "value": "delay > 15"}
    _, detail = trained(
        declared,
        lake,
        moment,
        features=["wind", "hour", "dest"],
        target=target,
        algorithms=["lightgbm", "decision_list"],
    )
    roles = {each["candidate"]: each["role"] for each in detail["test"]}
    assert roles["decision_list"] in {"winner", "simple"}
    assert detail["decision"]["promoted"]
    assert detail["decision"]["shipped"] == "decision_list"
