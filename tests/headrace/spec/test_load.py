import pickle
import resource
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import pytest

from headrace.errors import SpecError, UsageError
from headrace.spec import Pipeline, digest_of, landing_glob, load
from headrace.spec.model import Action

EXAMPLE = Path(__file__).parents[3] / "examples" / "flight_delays" / "pipeline.yaml"
SHOP = (Path(__file__).parent / "shop.yaml").read_text()


def loaded(tmp_path, text, **environ):
    file = tmp_path / "pipeline.yaml"
    file.write_text(text)
    return load(file, environ=environ)


def test_the_example_survives_a_round_trip():
    pipeline = load(EXAMPLE)
    again = Pipeline.model_validate_json(pipeline.model_dump_json(by_alias=True))
    assert again.placed_in(EXAMPLE.parent) == pipeline
    assert pickle.loads(pickle.dumps(pipeline)) == pipeline  # noqa: S301 - our own bytes


def test_the_example_says_what_it_means():
    pipeline = load(EXAMPLE)
    assert pipeline.at(date(2013, 12, 1)).isoformat() == "2013-12-01T05:00:00-05:00"
    assert pipeline.features.lookups["planes"].on == {"tailnum": None}
    assert pipeline.features.history["route_delay_7d"].over == timedelta(days=7)
    assert (pipeline.split.validation.days, pipeline.split.test.days) == (31, 30)
    assert (pipeline.training.first, pipeline.training.trials) == (date(2013, 12, 1), 6)


def test_how_a_search_is_tuned_is_declared_with_defaults_that_come_again():
    training = load(EXAMPLE).training
    assert (training.sampler, training.scheduler) == ("tpe", None)
    assert training.search_time_limit is None
    assert training.trial_time_limit == timedelta(hours=1)


def test_loading_takes_under_a_second_as_a_process_and_starts_no_engine():
    code = (
        "import sys; from headrace.spec import load; load(sys.argv[1]);"
        "engines = {'pyspark', 'delta', 'ray', 'prefect', 'great_expectations'};"
        "heavy = {'pandas', 'numpy', 'pyarrow', 'deltalake', 'sklearn', 'lightgbm'};"
        "print(sorted((engines | heavy) & set(sys.modules)))"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-c", code, EXAMPLE], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.stdout == b"[]\n"
    # Processor time, since a test machine has other work; on a quiet one it is the wall's.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1


def test_row_rules_quarantine_and_table_rules_fail_unless_told_otherwise(tmp_path):
    checks = loaded(tmp_path, SHOP).checks["orders"]
    assert [check.action for check in checks] == [Action.FAIL, Action.WARN, Action.QUARANTINE]


def test_relative_paths_start_from_the_folder_of_the_file(tmp_path, monkeypatch):
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines" / "pipeline.yaml").write_text(SHOP)
    monkeypatch.chdir(tmp_path)
    pipeline = load("pipelines/pipeline.yaml", environ={})
    assert landing_glob(pipeline, "orders") == f"{tmp_path}/pipelines/landing/orders/*.csv"
    monkeypatch.chdir("/")
    assert landing_glob(pipeline, "orders") == f"{tmp_path}/pipelines/landing/orders/*.csv"


@pytest.mark.parametrize(
    ("root", "path", "place"),
    [
        ("/data", "/data/x/*.csv", "/data/x/*.csv"),
        ("../feeds", "../feeds/./x/*.csv", "{parent}/feeds/x/*.csv"),
        ("s3a://bucket/in", "s3a://bucket/in/x/*.csv", "s3a://bucket/in/x/*.csv"),
        ("S3A://bucket", "s3a://bucket/x.csv", "s3a://bucket/x.csv"),
    ],
)
def test_a_root_may_be_absolute_or_beside_the_file_or_an_object_store(root, path, place, tmp_path):
    text = SHOP.replace("env: [BUCKET]", f"roots: [landing, '{root}']")
    pipeline = loaded(tmp_path, text.replace("landing/orders/*.csv", path))
    assert landing_glob(pipeline, "orders") == place.format(parent=tmp_path.parent)


@pytest.mark.parametrize(
    "path",
    [
        "landingx/a.csv",
        "landing/../landing2/a.csv",
        "/landing/a.csv",
        "//landing/a.csv",
        "s3a://bucket/inside/x.csv",
        "s3a://other/in/x.csv",
        "s3a://bucket/in/../x.csv",
        "s3a://bucket/in",
    ],
)
def test_a_path_outside_of_every_root_is_refused(path, tmp_path):
    text = SHOP.replace("env: [BUCKET]", "roots: [landing, 's3a://bucket/in']")
    with pytest.raises(SpecError, match=r"lies under none of `roots`: landing, s3a://bucket/in"):
        loaded(tmp_path, text.replace("landing/orders/*.csv", path))


def test_no_landing_glob_for_a_source_that_is_not_there(tmp_path):
    with pytest.raises(UsageError, match="no source 'order'; did you mean 'orders'"):
        landing_glob(loaded(tmp_path, SHOP), "order")


def test_listed_variables_are_filled_in(tmp_path):
    text = SHOP.replace("landing/orders/*.csv", "landing/${env:BUCKET}/*.csv")
    assert loaded(tmp_path, text, BUCKET="paris").sources["orders"].path == "landing/paris/*.csv"


def test_a_value_from_the_environment_is_not_read_as_yaml_or_as_another_reference(tmp_path):
    text = SHOP.replace("landing/orders/*.csv", "landing/${env:BUCKET}")
    pipeline = loaded(tmp_path, text, BUCKET="${env:BUCKET}: [1]")
    assert pipeline.sources["orders"].path == "landing/${env:BUCKET}: [1]"


def test_a_value_from_the_environment_is_not_repeated_in_a_message(tmp_path):
    text = SHOP.replace("landing/orders/*.csv", "elsewhere/${env:BUCKET}")
    with pytest.raises(SpecError) as caught:
        loaded(tmp_path, text, BUCKET="Hunter2!secret")
    assert "Hunter2" not in str(caught.value)
    assert "'elsewhere/${env:BUCKET}' lies under none" in str(caught.value)


def test_the_digest_of_a_section_is_that_of_what_it_means(tmp_path):
    one = loaded(tmp_path, SHOP)
    defaults = "key: [id]\n    on_changed_columns: fail\n    event_time"
    same = loaded(tmp_path, SHOP.replace("key: [id]\n    event_time", defaults, 1))
    other = loaded(tmp_path, SHOP.replace("amount: double", "amount: bigint"))
    assert digest_of(one.sources) == digest_of(same.sources)
    assert digest_of(one.sources["orders"]) != digest_of(other.sources["orders"])
    assert digest_of(one.sources["prices"]) == digest_of(other.sources["prices"])
    assert digest_of(one.target) == (
        "4858cc227665f992f4786c55498d6c7b2fd68dbd9af406ba09db1a353d14dd5f"
    ), "the digest of a section changed: every interval in every lake would be stale"


def test_a_spec_error_survives_pickle(tmp_path):
    with pytest.raises(SpecError) as caught:
        load(tmp_path / "no.yaml")
    again = pickle.loads(pickle.dumps(caught.value))  # noqa: S301 - our own bytes
    assert (type(again), str(again)) == (SpecError, f"{tmp_path / 'no.yaml'}: no such file")
    assert again.exit_code == 2


@pytest.mark.parametrize(
    ("task", "value", "metric"),
    [
        ("binary", "reason is not null", "roc_auc"),
        ("multiclass", "reason", "log_loss"),
        ("regression", "length(reason)", "rmse"),
    ],
)
def test_a_task_has_its_own_metric_where_the_file_names_none(task, value, metric, tmp_path):
    text = SHOP.replace("reason is not null", f"{value}, task: {task}")
    text = text.replace("[logistic_regression, lightgbm]", "[lightgbm]")
    silent = loaded(tmp_path, text)
    told = loaded(tmp_path, text.replace("[lightgbm]", f"[lightgbm], metric: {metric}"))
    assert silent.training.metric == metric
    assert digest_of(silent) == digest_of(told)
