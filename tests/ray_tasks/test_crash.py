"""A stage of Ray's that ends at any fault point, run again, leaves what an unhurt run leaves.

Errors stand in for kills, so that one Ray serves all; `tests/reliability` kills for good.
"""

from __future__ import annotations

import shutil
from datetime import timedelta
from functools import partial

import pytest

from headrace import faults, runs
from headrace.errors import EngineLost, StageFailed
from headrace.lake import Lake, Table
from headrace.models import registry
from headrace.settings import Settings
from headrace.spec.model import Pipeline
from headrace.verify import verify
from ray_tasks.score import score
from ray_tasks.train import train

pytestmark = pytest.mark.usefixtures("ray_local")

AROUND_A_COMMIT = ("after_staged_write", "before_commit", "after_commit")
CASES = [
    *(("train", f"train.{moment}:raise:1") for moment in faults.MOMENTS),
    *(("train", f"alias.{moment}:raise:1") for moment in AROUND_A_COMMIT),
    ("train", "train.before_commit:no_space:1"),
    *(("score", f"score.{moment}:raise:1") for moment in faults.MOMENTS),
    *(("score", f"score.{moment}:raise:2") for moment in AROUND_A_COMMIT),  # the second interval
    ("score", "score.after_staged_write:no_space:1"),
]


@pytest.fixture(scope="module")
def brief(declared):
    """The small pipeline with a training that takes a second."""
    training = {**declared["training"], "algorithms": ["logistic_regression"], "trials": 1}
    return Pipeline.model_validate({**declared, "training": training})


@pytest.fixture(scope="module")
def stages(brief, moment):
    """The stages of a lake as a run calls them, by name."""

    def of(lake):
        settings, due = Settings(lake=lake.root), [moment + timedelta(days=n) for n in range(3)]
        work = {
            "train": partial(train, brief, lake, settings, moment=moment, run="r"),
            "score": partial(score, brief, lake, settings, intervals=due, run="r"),
        }
        return {
            name: partial(runs.perform, name, "flights", call, folder=lake.runs("r"))
            for name, call in work.items()
        }

    return of


@pytest.fixture(scope="module")
def before(stages, gold, days, tmp_path_factory):
    """Stage -> a lake as it is before that stage, of a run that nothing happened to; the end."""
    folder = tmp_path_factory.mktemp("before")
    lake, stands = Lake(folder / "lake"), {}
    gold(lake, days)
    for name in ("train", "score"):
        stands[name] = shutil.copytree(lake.root, folder / name)
        stages(lake)[name]()
    return stands, content(lake)


def content(lake):
    """All that readers see, without clocks and durations."""
    decided = Table(lake.evaluations).arrow().drop_columns(["evaluated_at", "result"])
    aliases = registry.promotions(lake, "flights")
    return {
        "evaluations": sorted(map(str, decided.to_pylist())),
        "champions": [(alias.model, alias.decision) for alias in aliases],
        "scores": sorted(map(str, Table(lake.scores("flights")).arrow().to_pylist()))
        if Table.exists(lake.scores("flights"))
        else [],
    }


@pytest.mark.parametrize(("stage", "fault"), CASES)
def test_a_stage_that_ended_early_and_runs_again_is_as_if_it_never_had(
    before, stages, lake, monkeypatch, stage, fault
):
    stands, unhurt = before
    shutil.copytree(stands[stage], lake.root)
    faults._passed.clear()  # noqa: SLF001 - a process of its own would begin at none
    monkeypatch.setenv(faults.VARIABLE, fault)
    with pytest.raises((EngineLost, StageFailed)) as told:
        stages(lake)[stage]()
    assert ("the disk is full" in str(told.value)) is ("no_space" in fault)
    assert runs.failures(lake.runs("r"))[0].stage == stage
    monkeypatch.delenv(faults.VARIABLE)
    for name in ("train", "score"):
        stages(lake)[name]()
    assert content(lake) == unhurt
    assert runs.failures(lake.runs("r")) == []
    assert [finding for finding in verify(lake.root) if finding.state == "fail"] == []
