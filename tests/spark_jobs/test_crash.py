"""A stage of Spark's that ends at any fault point, run again, leaves what an unhurt run leaves.

Errors stand in for kills, so that one session serves all; `tests/reliability` kills for good.
"""

from __future__ import annotations

import shutil
import subprocess
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from headrace import faults, plan, runs
from headrace.errors import EngineLost, HeadraceError, StageFailed, UsageError
from headrace.intervals import features_due
from headrace.lake import Table
from spark_jobs import check, features, ingest

NOW = datetime(2014, 1, 1, tzinfo=UTC)
DEC1, DEC2 = (f"2013-12-0{day}T17:00:00Z" for day in (1, 2))
AROUND_A_COMMIT = ("after_staged_write", "before_commit", "after_commit")


@pytest.fixture(scope="module")
def delivered(tmp_path_factory, trips_in):
    """All sources published but `trips`, whose files hold sound, bad, broken and repeated rows."""
    folder = tmp_path_factory.mktemp("delivered")
    trips = trips_in(folder)
    trips.deliver("arrivals", "a.csv", f"1,{DEC1},10,2013-12-02T09:00:00Z")
    trips.deliver("weather", "a.csv", "A,1.5,2013-12-02T04:00:00Z")
    for source in ("lines", "arrivals", "weather"):
        trips.publish(source)
    rows = [f"1,A,{DEC1},5", f"2,A,{DEC2},6", f"3,B,{DEC2},-7", "4,A", f"2,A,{DEC2},6"]
    trips.deliver("trips", "a.csv", *rows)
    return folder


def stages(trips):
    """The stages of `trips` as a run calls them, by name."""
    folder = trips.lake.runs("r")
    landing = plan.look_at(trips.pipeline, trips.lake, "trips")
    same = {"landing": landing, "now": NOW}
    source = trips.pipeline.sources["trips"]
    read = partial(ingest.ingest, trips.spark, trips.lake, "trips", source=source, **same)
    judge = partial(
        check.check, trips.spark, trips.lake, "trips", pipeline=trips.pipeline, run="r", **same
    )

    def build():
        due = features_due(trips.pipeline, trips.lake)
        return features.build(trips.spark, trips.lake, pipeline=trips.pipeline, due=due)

    return {
        name: partial(runs.perform, name, "trips", work, folder=folder)
        for name, work in (("ingest", read), ("check", judge), ("features", build))
    }


def content(trips):
    """All that readers see, without clocks."""
    bronze = Table(trips.lake.bronze("trips")).arrow(["_raw", "_file", "_row", "_batch"])
    return {
        "ingest": sorted(str(row) for row in bronze.to_pylist()),
        "check": (read_if_there(trips.silver), read_if_there(trips.quarantine)),
        "features": trips.gold() if Table.exists(trips.lake.gold("trips")) else None,
    }


def read_if_there(read):
    try:
        return read("trips")
    except UsageError:
        return None


@pytest.fixture(scope="module")
def before(delivered, tmp_path_factory, trips_in):
    """Stage -> a folder as it is before that stage, of a run that nothing happened to; the end."""
    folder = tmp_path_factory.mktemp("before")
    shutil.copytree(delivered, folder / "run")
    trips, stands = trips_in(folder / "run"), {}
    for name in ("ingest", "check", "features"):
        stands[name] = shutil.copytree(folder / "run", folder / name)
        stages(trips)[name]()
    return stands, content(trips)


CASES = [
    *(("ingest", moment, "raise", 1) for moment in faults.MOMENTS),
    *(("check", moment, "raise", 1) for moment in faults.MOMENTS),
    *(("check", moment, "raise", 2) for moment in AROUND_A_COMMIT),  # the first is quarantine
    *(("features", moment, "raise", 1) for moment in faults.MOMENTS),
    ("check", "before_commit", "no_space", 2),
]


@pytest.mark.parametrize(("stage", "moment", "action", "nth"), CASES)
def test_a_stage_that_ended_early_and_runs_again_is_as_if_it_never_had(
    before, tmp_path, trips_in, monkeypatch, stage, moment, action, nth
):
    stands, unhurt = before
    shutil.copytree(stands[stage], tmp_path, dirs_exist_ok=True)
    trips = trips_in(tmp_path)
    faults._passed.clear()  # noqa: SLF001 - a process of its own would begin at none
    monkeypatch.setenv(faults.VARIABLE, f"{stage}.{moment}:{action}:{nth}")
    with pytest.raises((EngineLost, StageFailed)) as told:
        stages(trips)[stage]()
    assert ("the disk is full" in str(told.value)) is (action == "no_space")
    assert runs.failures(trips.lake.runs("r"))[0].stage == stage
    monkeypatch.delenv(faults.VARIABLE)
    stages(trips)[stage]()
    assert content(trips)[stage] == unhurt[stage]
    assert runs.failures(trips.lake.runs("r")) == []


def test_a_disk_that_is_full_is_named_and_with_room_the_stage_completes(
    delivered, tmp_path, trips_in, before
):
    """A small file system in memory, where the system lets us mount one."""
    mount, umount = "/usr/bin/mount", "/usr/bin/umount"
    shutil.copytree(delivered, tmp_path, dirs_exist_ok=True)
    lake = tmp_path / "lake"
    away = lake.rename(tmp_path / "away")
    lake.mkdir()
    small = [mount, "-t", "tmpfs", "-o", "size=300k", "tmpfs", lake]
    if not Path(mount).exists() or subprocess.run(small, stderr=-3, check=False).returncode:
        pytest.skip("only root can mount a small file system")
    try:
        shutil.copytree(away, lake, dirs_exist_ok=True)
        trips = trips_in(tmp_path)
        filler = lake / "filler"
        with suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(1024))
        with pytest.raises((HeadraceError, OSError), match=r"disk is full|No space left"):
            stages(trips)["ingest"]()
        assert not Table.exists(trips.lake.bronze("trips"))
        filler.unlink()
        stages(trips)["ingest"]()
        assert content(trips)["ingest"] == before[1]["ingest"]
    finally:
        subprocess.run([umount, lake], check=True)
