"""One small lake, left by the command as a user runs it; each test reads a fact off it.

Fixtures are the user's steps, in order: each one asks for the step before it.
"""

# ruff: noqa: ARG001 - a step that asks for the step before it need not look at it

from __future__ import annotations

import contextlib
import html
import json
import os
import re
import signal
import time
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

import psutil
import pytest
from sklearn.metrics import roc_auc_score

pytestmark = [pytest.mark.e2e, pytest.mark.spark, pytest.mark.ray, pytest.mark.timeout(600)]

TRAINED = date(2014, 1, 10)
DAY_13, DAY_14, DAY_15 = (date(2014, 1, day) for day in (13, 14, 15))
PER_DAY = 300
CLOCKS = ("_run", "_ingested_at")
UPSTREAM = {"bronze", "silver", "quarantine"}


@pytest.fixture(scope="module")
def user(project):
    made = project("ann")
    made.deliver_first_days()
    return made


@pytest.fixture(scope="module")
def first(user):
    """Everything, from nothing."""
    return user.headrace("run", "pipeline.yaml")


@pytest.fixture(scope="module")
def again(user, first, tmp_path_factory):
    """The same at once, with a Java that only leaves a mark, and every import told."""
    bin_ = tmp_path_factory.mktemp("java") / "bin"
    bin_.mkdir()
    java = bin_ / "java"
    java.write_text(f"#!/bin/sh\ntouch {bin_}/started\nexit 1\n")
    java.chmod(0o755)
    ran = user.headrace(
        "run",
        "pipeline.yaml",
        JAVA_HOME=bin_.parent.as_posix(),
        PATH=f"{bin_}{os.pathsep}{os.environ['PATH']}",
        PYTHONPROFILEIMPORTTIME="1",
    )
    assert not (bin_ / "started").exists()
    return ran


@pytest.fixture(scope="module")
def new_day(user, again):
    """One more day of rides, and a file of their ends that cannot be read."""
    user.deliver("rides", f"{DAY_13}.csv", *user.rides(DAY_13))
    user.deliver_bytes("ends", f"{DAY_13}.csv", b"PAR1 is not text")
    return user.headrace("run", "pipeline.yaml")


@pytest.fixture(scope="module")
def after_new_day(user, new_day):
    return user.headrace("run", "pipeline.yaml")


@pytest.fixture(scope="module")
def only_ingest(user, after_new_day):
    """The ends of day 13, corrected, and the rides of two more days, no further than bronze."""
    user.deliver("ends", f"{DAY_13}.csv", *user.ends(DAY_13))
    for day in (DAY_14, DAY_15):
        user.deliver("rides", f"{day}.csv", *user.rides(day))
    return user.headrace("run", "pipeline.yaml", "--only", "ingest")


@pytest.fixture(scope="module")
def only_check(user, only_ingest):
    return user.headrace("run", "pipeline.yaml", "--only", "check")


@pytest.fixture(scope="module")
def one_day_filled(user, only_check):
    return user.headrace("backfill", "pipeline.yaml", "--from", f"{DAY_14}", "--to", f"{DAY_14}")


@pytest.fixture(scope="module")
def from_features(user, one_day_filled):
    """The landing folder is away: these stages have no use for it."""
    landing, away = user.folder / "landing", user.folder / "away"
    landing.rename(away)
    ran = user.headrace("run", "pipeline.yaml", "--from", "features", "--json")
    away.rename(landing)
    return ran


@pytest.fixture(scope="module")
def only_report(user, from_features):
    return user.headrace("run", "pipeline.yaml", "--only", "report", "--json")


@pytest.fixture(scope="module")
def other(project, first):
    """The same landing files in another folder; asks for `first`, so that one runs at a time."""
    made = project("bob")
    made.deliver_first_days()
    return made


def interrupted(user, *, by, once):
    """A run that got a signal once a table of this layer stood."""
    command = user.start("run", "pipeline.yaml")
    end = time.monotonic() + 120
    while not any(name.startswith(once) for name in user.versions()):
        assert command.poll() is None, (user.folder / "err").read_text()
        assert time.monotonic() < end
        time.sleep(0.2)
    sent = time.monotonic()
    # As a terminal does, Ctrl-C goes to all processes of the group, and so to those of engines.
    os.killpg(command.pid, by) if by == signal.SIGINT else command.send_signal(by)
    code, seconds = command.wait(timeout=120), time.monotonic() - sent
    return Stopped(code, seconds, (user.folder / "err").read_text(), user.versions(), left(user))


@dataclass(frozen=True)
class Stopped:
    """What a run left that got a signal."""

    code: int
    seconds: float
    err: str
    versions: dict[str, int]
    processes: list[str]


def left(user):
    """Processes of a user's runs that still live: their Prefect has a home of its own."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("PREFECT_HOME") == user.prefect_home.as_posix():
                found.append(" ".join(process.cmdline()[:4]))
    return found


@pytest.fixture(scope="module")
def killed(other):
    """A run that was killed once something stood in bronze; what it left ends by itself."""
    run = interrupted(other, by=signal.SIGKILL, once="bronze/")
    end = time.monotonic() + 20
    while left(other) and time.monotonic() < end:
        time.sleep(0.2)
    return replace(run, processes=left(other))


@pytest.fixture(scope="module")
def stopped(other, killed):
    """The next run, asked to stop once something stood in silver: Spark was at work."""
    return interrupted(other, by=signal.SIGTERM, once="silver/")


@pytest.fixture(scope="module")
def stopped_again(other, stopped):
    """The run after that, interrupted from the keyboard once a model stood: Ray was at work."""
    return interrupted(other, by=signal.SIGINT, once="aliases")


@pytest.fixture(scope="module")
def completed(other, stopped_again):
    return other.headrace("run", "pipeline.yaml")


def days_of(table):
    return sorted(set(table["_interval"].to_pylist()))


def content(table):
    """Rows without what names a run or a clock, in an order of their own."""
    kept = [name for name in table.column_names if name not in CLOCKS]
    return sorted(map(repr, table.select(sorted(kept)).to_pylist()))


def test_a_run_from_nothing_is_done(first):
    assert first.code == 0, first.out + first.err
    assert "done; the page of this run" in first.out


def test_a_users_own_packages_of_our_names_are_left_alone(user, first):
    assert (user.folder / "flows" / "__init__.py").exists()
    assert "not ours" not in first.out + first.err


def test_every_line_is_in_silver_in_quarantine_or_a_duplicate(user, first):
    for source in ("rides", "ends", "lines"):
        read = user.read(f"bronze/{source}", first).num_rows
        silver = user.read(f"silver/{source}", first).num_rows
        name = f"quarantine/{source}"
        refused = user.read(name, first).num_rows if name in first.after else 0
        assert read == silver + refused, source


def test_a_bad_row_is_in_quarantine_with_its_place_and_reason(user, first):
    rows = user.read("quarantine/rides", first).to_pylist()
    found = {row["_row"]: (row["_file"], row["_raw"], row["_failed_rules"]) for row in rows}
    assert sorted(found) == [2, 3]
    assert found[2][:2] == ("rides/faults.csv", "900001,red,2014-01-02 08:00:00,-1")
    assert any("km" in rule for rule in found[2][2])
    assert found[3][:2] == ("rides/faults.csv", "900002,red")
    assert all(row["_reason"] for row in rows)


def test_gold_has_one_row_per_ride(user, first):
    gold = user.read("gold/rides", first)
    rides = user.read("silver/rides", first)
    assert sorted(gold["id"].to_pylist()) == sorted(rides["id"].to_pylist())
    assert len(days_of(gold)) == 14


def test_a_model_is_champion_and_its_record_stands(user, first):
    (alias,) = user.read("aliases", first).to_pylist()
    record = user.lake.models("rides") / alias["model"] / "record.json"
    assert json.loads(record.read_text())["algorithm"]


def test_there_is_one_score_per_ride_since_the_training(user, first):
    scores = user.read("scores/rides", first)
    due = [
        row["id"]
        for row in user.read("silver/rides", first).to_pylist()
        if row["leaves"].date() >= TRAINED
    ]
    assert sorted(scores["id"].to_pylist()) == sorted(due)
    assert len(due) == 3 * PER_DAY


def test_every_score_names_the_champion_and_its_run(user, first):
    scores = user.read("scores/rides", first)
    (alias,) = user.read("aliases", first).to_pylist()
    assert set(scores["_model"].to_pylist()) == {alias["model"]}
    assert len(set(scores["_run"].to_pylist())) == 1
    assert all(scores["_fingerprint"].to_pylist())


def test_scores_tell_late_rides_from_others(user, first):
    late = {row["id"]: row["delay"] > 15 for row in user.read("silver/ends", first).to_pylist()}
    rows = [row for row in user.read("scores/rides", first).to_pylist() if row["id"] in late]
    assert roc_auc_score([late[row["id"]] for row in rows], [row["score"] for row in rows]) > 0.8


def test_a_score_leads_to_the_landing_lines_that_its_features_are_made_of(user, first):
    ride = user.read("scores/rides", first).to_pylist()[0]["id"]
    ran = user.headrace("explain", f"id={ride}", "--lines", "10000", "--json")
    told = json.loads(ran.out)
    (history,) = [each for each in told["lines"] if each["source"] == "ends" and each["rows"] > 1]
    delays = [int(line["raw"].split(",")[2]) for line in history["lines"]]
    values = {each["feature"]: each["value"] for each in told["features"]}
    assert values["delay_2d"] == pytest.approx(sum(delays) / len(delays), rel=1e-12)
    for line in history["lines"]:
        lines = (user.folder / "landing" / line["file"]).read_text().splitlines()
        assert lines[line["row"] - 1] == line["raw"]


def test_every_score_comes_out_again_to_the_last_bit(user, first):
    ran = user.headrace("rebuild", "--all", "--json")
    told = json.loads(ran.out)
    assert (ran.code, told["equal"], told["rows"] >= 3 * PER_DAY) == (0, True, True)


def test_the_page_of_the_run_tells_the_decision(user, first):
    (page,) = (user.lake.root / "reports").glob(f"{run_of(first)}.html")
    (train,) = user.lake.runs(run_of(first)).glob("train-*.json")
    sentence = json.loads(train.read_text())["detail"]["decision"]["sentence"]
    assert len(sentence) > 20
    assert " ".join(sentence.split()) in page_text(page)
    assert page.stat().st_size < 2_000_000


def test_the_page_of_the_run_holds_scores_against_those_of_the_test_part(user, first):
    (page,) = (user.lake.root / "reports").glob(f"{run_of(first)}.html")
    text = page_text(page)
    assert "The line behind is the test part" in text
    assert "Pairs of features" in text


def test_each_stage_tells_what_it_took_of_the_processors(user, first):
    told = [json.loads(path.read_text()) for path in user.lake.runs(run_of(first)).glob("*.json")]
    taken = {one["name"]: one["processor_seconds"] for one in told if one["outcome"] == "done"}
    assert set(taken) == {"ingest", "check", "features", "train", "score"}
    assert all(seconds > 0.05 for seconds in taken.values())


def test_the_same_run_again_says_that_all_is_done(again):
    assert again.code == 0
    assert "already done: nothing was run and nothing was written" in again.out


def test_the_same_run_again_writes_no_version_of_any_table(again):
    assert again.before
    assert again.after == again.before


def test_the_same_run_again_starts_no_engine_and_is_quick(again):
    imported = {line.rpartition("|")[2].strip() for line in again.err.splitlines()}
    assert "headrace.plan" in imported
    assert not imported & {"pyspark", "ray", "prefect", "great_expectations"}
    assert again.cpu_seconds < 15


def test_a_new_day_is_scored(user, new_day):
    assert days_of(user.read("scores/rides", new_day))[-1] == DAY_13
    assert user.read("scores/rides", new_day).num_rows == 4 * PER_DAY


def test_a_new_file_moves_only_what_depends_on_it(new_day):
    written = {"files", "checks", "bronze/rides", "silver/rides", "gold/rides", "scores/rides"}
    assert new_day.written == written


def test_an_unreadable_file_is_named_and_ends_the_run_with_2(new_day):
    assert new_day.code == 2, new_day.out + new_day.err
    assert f"ends/{DAY_13}.csv" in new_day.err
    assert "a Parquet file" in new_day.err


def test_an_unreadable_file_that_is_known_stops_nobody(after_new_day):
    assert after_new_day.code == 0, after_new_day.err
    assert after_new_day.written == set()


def test_a_corrected_file_is_taken(user, only_ingest, only_check):
    assert (only_ingest.code, only_check.code) == (0, 0), only_ingest.err + only_check.err
    leaves = user.read("silver/ends", only_check)["leaves"].to_pylist()
    assert sum(moment.date() == DAY_13 for moment in leaves) == len(user.ends(DAY_13))


def test_one_stage_alone_writes_its_own_tables_alone(only_ingest, only_check):
    assert only_ingest.written == {"files", "bronze/rides", "bronze/ends"}
    assert only_check.written == {"checks", "silver/rides", "silver/ends"}


def test_backfill_fills_the_days_it_was_given(user, one_day_filled):
    assert one_day_filled.code == 0, one_day_filled.err
    days = days_of(user.read("scores/rides", one_day_filled))
    assert DAY_14 in days
    assert DAY_15 not in days
    assert not {name.split("/")[0] for name in one_day_filled.written} & UPSTREAM


def test_a_page_alone_tells_what_earlier_runs_left(user, from_features, only_report):
    assert only_report.code == 0, only_report.err
    told = json.loads(only_report.out)
    page = Path(told["page"]).read_text()
    assert f"from run {json.loads(from_features.out)['run']}" in page
    assert only_report.after == from_features.after


def test_a_run_from_a_stage_on_does_the_rest(user, from_features):
    assert from_features.code == 0, from_features.err
    scores = user.read("scores/rides", from_features)
    every_day = [TRAINED + timedelta(days=n) for n in range(6)]
    assert days_of(scores) == every_day
    assert scores.num_rows == len(set(scores["id"].to_pylist())) == 6 * PER_DAY


def test_a_run_with_json_is_one_document_and_its_progress_goes_elsewhere(user, from_features):
    told = json.loads(from_features.out)
    assert len(from_features.out.splitlines()) == 1
    assert (told["pipeline"], told["outcome"]) == ("rides", "done")
    stages = {each["name"]: each for each in told["stages"]}
    assert list(stages) == ["features", "train", "score"]
    assert stages["score"]["rows"]["scored"] > 0
    assert told["page"] == user.lake.report(told["run"]).as_posix()
    assert "next: `headrace report --open` shows the page" in from_features.err


def test_targets_that_became_known_are_filled_in(user, from_features):
    gold = user.read("gold/rides", from_features).to_pylist()
    known = [row["late"] for row in gold if row["_interval"] == DAY_13]
    assert sum(late is not None for late in known) == len(user.ends(DAY_13))


def test_a_killed_run_left_work_to_do_and_no_process(killed):
    assert any(name.startswith("bronze/") for name in killed.versions)
    assert not any(name.startswith("scores/") for name in killed.versions)
    assert killed.processes == []


def test_a_run_asked_to_stop_stops_soon_quietly_and_wholly(stopped, stopped_again):
    assert (stopped.code, stopped_again.code) == (143, 130)
    for run in (stopped, stopped_again):
        assert run.seconds < 30
        assert "stopped; what was committed stands" in run.err
        assert len(run.err.splitlines()) < 10, run.err
        assert run.processes == []
    assert "gold/rides" not in stopped.versions


@pytest.mark.parametrize("table", ["silver/rides", "silver/ends", "gold/rides", "scores/rides"])
def test_after_a_kill_and_a_stop_the_lake_is_as_if_never_killed(
    user, other, first, completed, table
):
    assert completed.code == 0, completed.out + completed.err
    assert content(other.read(table, completed)) == content(user.read(table, first))


def test_after_a_kill_no_line_stands_twice(user, other, first, completed):
    for table in ("bronze/rides", "bronze/ends", "quarantine/rides"):
        assert content(other.read(table, completed)) == content(user.read(table, first))


def run_of(ran):
    """The name that a run gave itself."""
    return ran.out.split("run ", 1)[1].split(":", 1)[0]


def page_text(page):
    """The words of a page, without its tags."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", "", page.read_text())).split())
