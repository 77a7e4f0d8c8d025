"""Every error that has a code, provoked by the command or by the command line of a stage.

A new class of error without a case here fails the first test. Only a lost engine and a full disk
are made by `headrace.faults`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

import pytest

from flows.errors import tell
from headrace import faults
from headrace.errors import HeadraceError, kinds
from headrace.evaluation import history
from headrace.lake import Lake, application_id
from headrace.lake.claims import Disk, claimed
from headrace.stage import Outcome, StageResult

LOSES = """def loses(rows):
    return rows.where("id <> 1").selectExpr("*", "seats / 2 as half")
"""


@dataclass
class User:
    """A user's folder, and what is typed there: each gives an exit code and what stderr told."""

    folder: Path
    request: pytest.FixtureRequest
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]

    def have(self, fixture: str, **given: object) -> None:
        """Lays down what a fixture makes."""
        self.request.getfixturevalue(fixture)(**given)

    def edit(self, old: str, new: str) -> None:
        """Changes pipeline.yaml."""
        text = (self.folder / "pipeline.yaml").read_text()
        assert old in text
        (self.folder / "pipeline.yaml").write_text(text.replace(old, new))

    def headrace(self, *arguments: str) -> tuple[int, str]:
        """The command."""
        code, _, err = self.request.getfixturevalue("headrace")(*arguments)
        return code, err

    def stage(self, module: str, *arguments: str) -> tuple[int, str]:
        """`python -P -m <module>`, in this process and with its Spark."""
        given = ["--pipeline", "pipeline.yaml", "--lake", "lake", "--run", "r1", *arguments]
        self.monkeypatch.setattr(sys, "argv", [module, *given])
        try:
            import_module(module).main()
        except SystemExit as stop:
            return int(stop.code or 0), self.capsys.readouterr().err
        return 0, ""

    def fails(self, fault: str) -> None:
        """Makes a stage fail at a point."""
        faults._passed.clear()  # noqa: SLF001 - a process of its own would begin at none
        self.monkeypatch.setenv(faults.VARIABLE, fault)


@dataclass(frozen=True)
class Case:
    """How an error is provoked, and what it says: what is wrong, where, and what to do."""

    provoke: Callable[[User], tuple[int, str]]
    what: str
    where: str
    next: str
    engine: str


CASES: dict[str, list[Case]] = {}


def nothing_to_train(user: User) -> None:
    """No training is due, so the command only looks at what was decided."""
    user.have("scored")
    user.edit("first: 2014-01-04", "first: 2030-01-01")


def case(code: str, *, what: str, where: str, next_: str, engine: str = "") -> Callable[..., None]:
    """Puts a way to provoke an error on the list."""

    def listed(provoke: Callable[[User], tuple[int, str]]) -> None:
        CASES.setdefault(code, []).append(Case(provoke, what, where, next_, engine))

    return listed


@case(
    "HR-101",
    what="features.rows: no source 'ridse'",
    where="pipeline.yaml:",
    next_="did you mean 'rides'?",
)
def a_name_that_is_not_known(user):
    user.edit("rows: rides", "rows: ridse")
    return user.headrace("validate")


@case(
    "HR-102",
    what="no source 'rdies' in this lake",
    where="/lake)",
    next_="there are ends, lines, rides, weather",
)
def a_source_that_is_not_there(user):
    user.have("scored")
    return user.headrace("quarantine", "show", "rdies")


@case(
    "HR-201",
    what="no landing file matches",
    where="source ends",
    next_="deliver a file, or mend `path` of the source",
)
def a_feed_without_a_file(user):
    (user.folder / "landing" / "ends" / "a.csv").unlink()
    return user.headrace("plan")


@case(
    "HR-202",
    what="the columns are not the declared ones",
    where="source rides, file rides/a.csv",
    next_="say `on_changed_columns: adapt`",
    engine="spark",
)
def a_column_under_another_name(user):
    path = user.folder / "landing" / "rides" / "a.csv"
    path.write_text(path.read_text().replace("id,line,", "id,route,"))
    return user.stage("spark_jobs.ingest", "--source", "rides")


@case(
    "HR-203",
    what="not_red (unexpected: 1)",
    where="source rides, table ",
    next_="deliver a right file, or mend the rule",
    engine="spark",
)
def a_rule_that_fails_the_batch(user):
    user.edit(
        "value_set: {source: lines, column: line}}",
        "value_set: [blue]}\n      action: fail\n      name: not_red",
    )
    assert user.stage("spark_jobs.ingest", "--source", "rides") == (0, "")
    return user.stage("spark_jobs.check", "--source", "rides")


@case(
    "HR-204",
    what="rows to write and rows expected differ: 0 for 1 of 2014-01-03",
    where="gold/rides",
    next_="a step may not add or lose rows: rides_steps:loses",
    engine="spark",
)
def a_step_that_loses_a_row(user):
    user.have("scored")
    (user.folder / "rides_steps.py").write_text(LOSES)
    user.monkeypatch.syspath_prepend(user.folder)
    user.edit(
        "features:\n", 'features:\n  steps: [{function: "rides_steps:loses", adds: [half]}]\n'
    )
    return user.stage("spark_jobs.features")


@case(
    "HR-301",
    what="no module 'rides_lost' with a file of its own can be imported",
    where="features.steps[0]",
    next_="install it, or name its folder in PYTHONPATH",
)
def a_step_that_is_nowhere(user):
    user.have("scored")
    user.edit("features:\n", 'features:\n  steps: [{function: "rides_lost:f", adds: [half]}]\n')
    return user.headrace("audit")


@case(
    "HR-302",
    what="no training is due before 2014-01-04",
    where="pipeline rides",
    next_="`headrace run` builds features",
)
def a_training_before_its_time(user):
    (user.folder / "lake").mkdir()
    return user.headrace("audit")


@case(
    "HR-303",
    what="the audit before training found 1 leak that is not allowed",
    where="pipeline rides",
    next_='- {leak: perfect_feature, columns: [line], reason: "..."}',
)
def a_feature_that_is_the_target(user):
    user.have("gold", told=True)
    return user.stage("ray_tasks.train", "--moment", "2014-01-04")


@case(
    "HR-304",
    what="no training has been decided yet",
    where="pipeline rides",
    next_="`headrace plan` says what it lacks",
)
def a_promotion_without_a_training(user):
    nothing_to_train(user)
    return user.headrace("train", "--require-promotion")


@case(
    "HR-304",
    what="logistic_regression does not beat best_lookup.",
    where="pipeline rides, trained 2014-01-04",
    next_="nothing is broken, the champion stays",
)
def a_model_that_is_no_better(user):
    nothing_to_train(user)
    sentence = "logistic_regression does not beat best_lookup."
    decision = {"promoted": False, "shipped": "best_lookup", "sentence": sentence}
    gain = {"over": "best_lookup", "metric": "roc_auc", "value": 0.0, "low": -0.1, "high": 0.1}
    result = StageResult(
        name="train",
        subject="rides",
        units=("2014-01-04",),
        outcome=Outcome.DONE,
        detail={"leaderboard": [], "test": [], "gain": gain, "decision": decision, "model": "m"},
    )
    moment = datetime(2014, 1, 4, 5, tzinfo=UTC)
    lake = Lake(user.folder / "lake")
    history.keep(lake, result, moment=moment, run="r0", evaluated_at=moment)
    return user.headrace("train", "--require-promotion")


@case(
    "HR-401",
    what="the Prefect server does not answer",
    where="url http://127.0.0.1:1/api",
    next_="start it, or name another by PREFECT_API_URL",
)
def a_server_that_is_not_up(user):
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:1/api"}):
        return user.headrace("deploy")


@case(
    "HR-402",
    what="the disk is full",
    where="stage ingest, of rides",
    next_="free space, then run again: what was committed stands",
    engine="spark",
)
def a_disk_that_is_full(user):
    user.fails("ingest.before_read:no_space")
    return user.stage("spark_jobs.ingest", "--source", "rides")


@case(
    "HR-403",
    what="Not a directory",
    where="/dev/null/lake",
    next_=HeadraceError.mend,
)
def a_place_that_no_lake_can_be_at(user):
    return user.headrace("maintain", "--apply", "--lake", "/dev/null/lake")


@case(
    "HR-501",
    what="a commit of the log cannot be read",
    where="silver/rides, file 00000000000000000000.json",
    next_="restore it from a backup",
)
def a_log_that_is_torn(user):
    log = user.folder / "lake" / "silver" / "rides" / "_delta_log"
    log.mkdir(parents=True)
    (log / "00000000000000000000.json").write_text("{torn")
    return user.headrace("history", "rides")


@case(
    "HR-502",
    what="1 cells of 2 scores came out differently",
    where="pipeline rides",
    next_="compare the libraries that `headrace explain` lists",
)
def a_score_that_was_changed(user):
    user.have("score_is_off")
    return user.headrace("rebuild", "--all")


@case(
    "HR-601",
    what="the object store cannot be reached",
    where="path s3://feeds/ends/*.csv, endpoint 127.0.0.1",
    next_="look at the network and at AWS_ENDPOINT_URL, and run again",
)
def a_store_that_is_away(user):
    for name, value in {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
        "AWS_ACCESS_KEY_ID": "AKIAHEADRACETESTS",
        "AWS_SECRET_ACCESS_KEY": "a-secret-of-the-tests",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        user.monkeypatch.setenv(name, value)
    user.edit("timezone: UTC", 'timezone: UTC\nroots: [landing, "s3://feeds"]')
    user.edit("path: landing/ends/*.csv", "path: s3://feeds/ends/*.csv")
    return user.headrace("plan")


@case(
    "HR-602",
    what="already running: run r0 is at rides/features/all",
    where="rides/features/all",
    next_="run again when it has ended",
)
def another_run_at_the_same_work(user):
    from flows.pipeline import pipeline

    user.have("scored")
    lake = Lake(user.folder / "lake")
    unit = application_id("rides", "features", "all")
    with (
        claimed(Disk(lake.claims), [unit], owner="r0"),
        pytest.raises(HeadraceError) as refused,
    ):
        pipeline.fn(
            "pipeline.yaml", "r1", lake=str(lake.root), only="features", require_promotion=True
        )
    return tell(refused.value), user.capsys.readouterr().err


@case(
    "HR-603",
    what="made to fail at ingest.before_read",
    where="stage ingest, of rides",
    next_="run again",
    engine="spark",
)
def an_engine_that_went_away(user):
    user.fails("ingest.before_read:raise")
    return user.stage("spark_jobs.ingest", "--source", "rides")


def test_every_error_with_a_code_has_a_case():
    assert sorted(CASES) == [kind.code for kind in kinds()]


@pytest.fixture
def user(folder, request, monkeypatch, capsys):
    return User(folder, request, monkeypatch, capsys)


@pytest.mark.parametrize(
    ("code", "one"),
    [
        pytest.param(
            code,
            one,
            id=f"{code}-{one.provoke.__name__}",
            marks=[getattr(pytest.mark, one.engine)] if one.engine else [],
        )
        for code, cases in CASES.items()
        for one in cases
    ],
)
def test_an_error_says_what_where_and_what_next_and_ends_with_its_code(user, code, one):
    if one.engine:
        user.request.getfixturevalue(one.engine)
    kind = next(kind for kind in kinds() if kind.code == code)
    exit_code, err = one.provoke(user)
    *said, pointer = err.strip().splitlines()
    assert exit_code == kind.exit_code
    assert pointer == kind.pointer()
    words = "\n".join(said)
    assert one.what in words
    assert one.where in words
    assert one.next in words
    assert "Traceback" not in words
