"""A training that was killed in its search goes on, and uses nothing of another training."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
import yaml

from headrace import faults
from headrace.settings import Settings
from headrace.spec.model import Pipeline
from ray_tasks import search_record
from ray_tasks.examples import read
from ray_tasks.train import train


def test_a_search_killed_for_good_goes_on_and_ends_as_if_it_never_had(
    first_training, lake, pipeline, declared, days, gold, moment, tmp_path
):
    gold(lake, days)
    (tmp_path / "pipeline.yaml").write_text(yaml.safe_dump(declared))
    arguments = ["--pipeline", str(tmp_path / "pipeline.yaml"), "--lake", str(lake.root)]
    command = [sys.executable, "-P", "-m", "ray_tasks.train", *arguments]
    killed = subprocess.run(
        [*command, "--moment", moment.isoformat(), "--run", "killed"],
        env={**os.environ, faults.VARIABLE: "search.after_commit:kill:5"},
        capture_output=True,
        timeout=500,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    (journal,) = lake.searches("flights").iterdir()
    assert len(journal.read_text().split("\n\n")) == 5
    result = train(pipeline, lake, Settings(lake=lake.root), moment=moment, run="again")
    unhurt = first_training[1]
    assert sum(each["reused"] for each in result.detail["search"]["algorithms"]) == 5
    assert result.detail["model"] == unhurt.detail["model"]
    for told in ("test", "gain", "decision"):
        assert result.detail[told] == unhurt.detail[told]
    assert list(lake.searches("flights").iterdir()) == []


@pytest.fixture
def path_of(lake, days, gold, moment):
    """The journal of a pipeline on this lake, whose last training day is written as asked."""
    gold(lake, days)

    def path(declared, **of_rows):
        if of_rows:
            gold(lake, days[5:6], replace=True, **of_rows)
        pipeline = Pipeline.model_validate(declared)
        examples = read(lake, pipeline, moment=moment)
        return search_record.journal(lake, pipeline, examples, moment=moment)

    return path


def test_another_seed_spec_moment_or_data_has_another_journal(path_of, declared):
    training = declared["training"]
    changes = [
        {"training": {**training, "seed": 8}},
        {"training": {**training, "metric": "log_loss"}},
        {"training": {**training, "scheduler": "rungs"}},
        {"split": {**declared["split"], "validation": "9 days"}},
        {"features": {**declared["features"], "columns": {"dest": "dest"}}},
    ]
    paths = [path_of(declared), *(path_of({**declared, **change}) for change in changes)]
    assert path_of(declared) == paths[0]
    paths.append(path_of(declared, seed=5))
    assert len(set(paths)) == len(paths)


def test_an_edited_source_has_another_journal(path_of, declared, monkeypatch):
    before = path_of(declared)
    monkeypatch.setattr("headrace.models.provenance.sources", lambda: "edited")
    assert path_of(declared) != before


def test_the_champions_parameters_are_tried_in_the_next_training(
    first_training, pipeline, trained, moment
):
    from datetime import timedelta

    from headrace.models import registry

    aliases = registry.aliases(trained, "flights")
    assert search_record.starts(trained, pipeline, aliases, moment=moment) == {}
    later = search_record.starts(trained, pipeline, aliases, moment=moment + timedelta(days=5))
    record = registry.record(trained, "flights", first_training[1].detail["model"])
    assert later == {record["algorithm"]: [record["parameters"]]}
