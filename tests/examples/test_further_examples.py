import csv
import subprocess
import sys
from pathlib import Path

import pytest

from headrace.spec import load

EXAMPLES = Path(__file__).parents[2] / "examples"
FURTHER = ["air_fares", "house_sales"]


def run(name, to):
    command = [sys.executable, str(EXAMPLES / name / "make_landing.py"), "--to", str(to)]
    return subprocess.run(command, check=False, capture_output=True, text=True)


@pytest.fixture(scope="module", params=FURTHER)
def example(request, tmp_path_factory):
    """Name and landing folder of an example, made by its script."""
    to = tmp_path_factory.mktemp(request.param) / "landing"
    done = run(request.param, to)
    assert (done.returncode, done.stderr) == (0, "")
    return request.param, to


def rows(landing, feed):
    files = sorted((landing / feed).glob("*.csv"))
    return [row for file in files for row in csv.DictReader(file.read_text().splitlines())]


def test_files_have_the_columns_and_keys_that_the_pipeline_names(example):
    name, landing = example
    for feed, source in load(EXAMPLES / name / "pipeline.yaml").sources.items():
        found = rows(landing, feed)
        assert {tuple(row) for row in found} == {tuple(source.columns)}, feed
        keys = [tuple(row[column] for column in source.key) for row in found]
        assert len(keys) == len(set(keys)), feed


def test_a_whole_landing_folder_is_left_as_it_is_and_another_is_refused(example, tmp_path):
    name, landing = example
    times = {path: path.stat().st_mtime_ns for path in landing.rglob("*")}
    assert run(name, landing).returncode == 0
    assert {path: path.stat().st_mtime_ns for path in landing.rglob("*")} == times
    (tmp_path / "mine.txt").write_text("keep")
    refused = run(name, tmp_path)
    assert refused.returncode == 1
    assert "holds something else" in refused.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_routes_that_open_have_no_past(tmp_path):
    to = tmp_path / "landing"
    assert run("air_fares", to).returncode == 0
    fares = rows(to, "fares")
    opened = {row["route"] for row in fares if row["year_start"].startswith("2000")}
    before = {row["route"] for row in fares if not row["year_start"].startswith("2000")}
    assert (len(opened), len(before), opened & before) == (229, 920, set())
