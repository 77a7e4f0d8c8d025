"""Each Spark stage by its own command line, as a cluster is given it."""

from __future__ import annotations

import json
import sys

import pytest

from headrace.lake import Table
from spark_jobs import check, features, ingest

NOON = "2013-12-02T17:00:00Z"


@pytest.fixture
def command(trips, monkeypatch):
    """Calls the `main()` of a stage with arguments, and reads the result that it leaves."""

    def call(stage, *arguments, subject="trips"):
        place = ["--pipeline", str(trips.folder / "pipeline.yaml"), "--lake", str(trips.lake.root)]
        monkeypatch.setattr(sys, "argv", [stage.__name__, *place, "--run", "r1", *arguments])
        stage.main()
        name = stage.__name__.rpartition(".")[2]
        return json.loads((trips.lake.runs("r1") / f"{name}-{subject}.json").read_text())

    return call


def test_the_stages_one_by_one_make_gold(trips, command):
    trips.deliver("trips", "a.csv", f"1,A,{NOON},5", "2,A")
    trips.deliver("arrivals", "a.csv", f"1,{NOON},10,2013-12-02T20:00:00Z")
    trips.deliver("weather", "a.csv", f"A,1.5,{NOON}")
    for source in ("lines", "trips", "arrivals", "weather"):
        assert command(ingest, "--source", source, subject=source)["outcome"] == "done"
        assert command(check, "--source", source, subject=source)["outcome"] == "done"
    assert command(check, "--source", "trips")["outcome"] == "already_done"
    assert command(features, "--interval", "2013-12-02")["rows"] == {"built": 1, "labelled": 0}
    assert Table(trips.lake.gold("trips")).arrow(["id"]).to_pylist() == [{"id": 1}]


def test_an_unknown_source_ends_with_2_and_the_near_name(trips, command, capsys):  # noqa: ARG001
    with pytest.raises(SystemExit, match="2"):
        command(ingest, "--source", "tripz")
    assert "no source 'tripz'; did you mean 'trips'?" in capsys.readouterr().err
