"""Errors as a user meets them: what, where, what to do, and a code on the last line."""

from __future__ import annotations

import json

import pytest


def code_of(err: str) -> str:
    """The code on the last line."""
    return err.splitlines()[-1].partition(":")[0]


def test_a_wrong_file_is_hr_101(headrace, folder):
    text = (folder / "pipeline.yaml").read_text()
    (folder / "pipeline.yaml").write_text(text.replace("rows: rides", "rows: ridse"))
    code, out, err = headrace("validate")
    assert (code, out, code_of(err)) == (2, "", "HR-101")
    assert "did you mean 'rides'?" in err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["plan", "--onyl"], "No such option: --onyl"),
        (["rnu"], "No such command 'rnu'"),
        (["quarantine", "show", "rdies"], "no source 'rdies' in this lake"),
        (["history", "rides"], "there is no lake here"),
        (["export", "pipeline.yaml", "m.onnx"], "no model yet"),
        (["choose"], "it takes the number of rows and of columns"),
        (["algorithms", "xgbost"], "did you mean 'xgboost'?"),
        (["errors", "HR-999"], "no error 'HR-999'"),
    ],
)
def test_what_is_not_there_is_hr_102(headrace, arguments, told):
    code, out, err = headrace(*arguments)
    assert (code, out, code_of(err)) == (2, "", "HR-102")
    assert told in err
    assert "\n  -> " in err


def test_a_setting_that_cannot_be_is_hr_102_and_named(headrace, monkeypatch):
    monkeypatch.setenv("HEADRACE_CORES", "many")
    code, _, err = headrace("plan")
    assert (code, code_of(err)) == (2, "HR-102")
    assert "HEADRACE_CORES: Input should be a valid integer" in err


def test_a_feed_without_a_file_is_hr_201(headrace, folder):
    (folder / "landing" / "ends" / "a.csv").unlink()
    code, _, err = headrace("plan")
    assert (code, code_of(err)) == (2, "HR-201")
    assert "no landing file matches (source ends, path" in err


def test_a_training_before_its_time_is_hr_302(headrace, folder):
    (folder / "lake").mkdir()
    code, _, err = headrace("audit")
    assert (code, code_of(err)) == (1, "HR-302")
    assert "no training is due before 2014-01-04 (pipeline rides)" in err


def test_a_log_that_cannot_be_read_is_hr_501_and_named(headrace, folder):
    log = folder / "lake" / "silver" / "rides" / "_delta_log"
    log.mkdir(parents=True)
    (log / "00000000000000000000.json").write_text("{torn")
    code, _, err = headrace("history", "rides")
    assert (code, code_of(err)) == (1, "HR-501")
    assert "a commit of the log cannot be read" in err
    assert "silver/rides" in err


def test_a_place_that_cannot_be_written_is_hr_403(headrace):
    code, _, err = headrace("maintain", "--apply", "--lake", "/dev/null/lake")
    assert (code, code_of(err)) == (1, "HR-403")
    assert "/dev/null/lake" in err


def test_errors_lists_every_code_and_tells_one(headrace):
    code, out, _ = headrace("errors", "--json")
    every = json.loads(out)
    assert code == 0
    assert len(every) == len({each["code"] for each in every}) > 15
    code, out, _ = headrace("errors", "hr-202")
    assert code == 0
    assert "HR-202 SchemaChanged" in out
    assert "on_changed_columns: adapt" in " ".join(out.split())
