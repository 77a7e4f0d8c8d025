"""From a score to what it was made of, and the score again, bit by bit."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest

from headrace.lake import Table, append, commit, stage_file
from headrace.masking import HIDDEN, MASK


def explained(headrace, *words):
    code, out, err = headrace("explain", *words, "--json")
    assert (code, err) == (0, "")
    return json.loads(out)


def lines_of(told, place):
    (found,) = [each for each in told["lines"] if each["place"] == place]
    return [(line["file"], line["row"]) for line in found["lines"]]


def test_each_form_leads_to_the_lines_that_were_known(headrace, scored):
    scored()
    told = explained(headrace, "id=4")
    assert lines_of(told, "features.columns") == [("rides/a.csv", 5)]
    assert lines_of(told, "features.lookups.lines") == [("lines/a.csv", 2)]
    assert lines_of(told, "features.latest.weather") == [("weather/a.csv", 4)]
    # Of the red line, as the schedule tells, and known by five that morning.
    history = lines_of(told, "features.history.delay_7d")
    assert history == [("ends/a.csv", 3), ("ends/a.csv", 2)]
    assert lines_of(told, "target") == [("ends/a.csv", 5)]


def test_a_line_is_told_as_it_arrived(headrace, scored):
    scored()
    told = explained(headrace, "id=4")
    assert told["lines"][0]["lines"][0]["raw"] == "4,red,2014-01-05T08:00:00Z"


@pytest.mark.parametrize("algorithm", ["logistic_regression", "lightgbm", "xgboost"])
def test_what_features_add_comes_to_the_score(headrace, scored, algorithm):
    scored(algorithm)
    told = explained(headrace, "id=4")
    margin = told["base"] + sum(each["adds"] for each in told["features"])
    assert told["scale"] == "log odds"
    assert told["score"]["score"] == pytest.approx(
        1 / (1 + np.exp(-margin)), rel=1e-4
    )  # XGBoost's are of single precision


def test_an_algorithm_that_does_not_tell_what_features_add_is_said_to(headrace, scored):
    scored("naive_bayes")
    code, out, _ = headrace("explain", "id=5")
    assert code == 0
    assert "does not tell what each feature adds" in out
    assert "late came out: not known yet" in out


def test_silver_that_changed_since_is_told(headrace, scored):
    _, lake = scored()
    assert explained(headrace, "id=4")["unchanged_since"]
    late = Table(lake.silver("weather")).arrow().slice(0, 1)
    late = late.set_column(late.schema.get_field_index("_batch"), "_batch", pa.array(["b" * 32]))
    moment = Table(lake.silver("weather")).arrow()["seen"].slice(2, 1)
    late = late.set_column(late.schema.get_field_index("seen"), "seen", moment)
    commit(
        lake.silver("weather"),
        [stage_file(lake.silver("weather"), late)],
        schema=late.schema,
        unit="weather/check/b2",
    )
    told = explained(headrace, "id=4")
    assert not told["unchanged_since"]


def test_the_words_for_people_name_model_lines_checks_and_the_next_step(headrace, scored):
    _, lake = scored()
    code, out, _ = headrace("explain", "pipeline.yaml", "id=4", "--interval", "2014-01-05")
    model = next(lake.models("rides").iterdir()).name
    assert code == 0
    assert f"model {model}: logistic_regression" in out
    assert "on gold/rides version 0, 1 intervals; champion since 2014-01-04T05:00:00" in out
    assert "features.history.delay_7d (delay_7d): 2 of ends" in out
    last = out.splitlines()[-1]
    assert last.startswith("next: `headrace rebuild pipeline.yaml id=4 --interval 2014-01-05`")


def test_rows_that_a_warning_counted_alone_are_not_said_to_be_others(headrace, scored):
    _, lake = scored()
    verdicts = {
        "source": ["rides"] * 3,
        "batch": [f"{1:032x}"] * 3,
        "rule": ["line", "id", "rows"],
        "action": ["warn", "quarantine", "fail"],
        "success": [False, False, True],
        "unexpected": [2, 1, None],  # none for a rule of the whole table
        "checked_at": [datetime(2014, 1, 5, tzinfo=UTC)] * 3,
    }
    append(lake.checks, pa.table(verdicts), unit="rides/verdicts/b")
    _, out, _ = headrace("explain", "id=4")
    assert "  warned rides: line (warn); 2 rows of the batch broke it, and which ones is not" in out
    assert "  kept   rides: id (quarantine); 1 other row of the batch broke it\n" in out
    assert "  kept   rides: rows (fail)\n" in out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["id=77"], "no score of rides has id=77"),
        (["id=seven"], "'seven' is no int32 (column id)"),
        (["ride=4"], "no column 'ride' in the key; did you mean 'id'?"),
        ([], "the key is id: `id=...`"),
        (["a.yaml", "b.yaml"], "neither a column with a value, nor the one pipeline file"),
        (["id=4", "id=5"], "a column of the key stands twice"),
        (["id=4", "--interval", "2014-01-06"], "no score of rides has id=4 on 2014-01-06"),
    ],
)
def test_a_key_of_no_score_exits_2_and_says_why(headrace, scored, words, told):
    scored()
    code, out, err = headrace("explain", *words)
    assert (code, out) == (2, "")
    assert told in err


def test_scores_of_the_same_model_and_features_are_equal_to_the_last_bit(headrace, scored):
    scored()
    code, out, _ = headrace("rebuild", "id=4")
    assert code == 0
    assert "1 scores of 2014-01-05 computed again" in out
    assert "equal to the last bit" in out
    code, out, _ = headrace("rebuild", "--all", "--interval", "2014-01-05", "--json")
    told = json.loads(out)
    assert (code, told["equal"], told["rows"]) == (0, True, 2)


def test_a_score_that_is_off_by_one_bit_exits_4_and_is_named(headrace, score_is_off):
    right, off = score_is_off()
    code, out, err = headrace("rebuild", "--all")
    assert code == 4
    assert f"id=4: score was {off!r}, and is {right!r}" in out
    assert "1 cells of 2 scores came out differently" in err
    assert err.splitlines()[-1].startswith("HR-502")
    code, _, _ = headrace("rebuild", "id=5")
    assert code == 0


def test_the_marked_key_of_a_score_that_is_off_is_hidden(folder, headrace, score_is_off):
    score_is_off()
    text = (folder / "pipeline.yaml").read_text()
    path = "    path: landing/rides/*.csv\n"
    (folder / "pipeline.yaml").write_text(text.replace(path, f"{path}    pii: [id]\n"))
    code, out, _ = headrace("rebuild", "--all")
    assert code == 4
    assert f"id={MASK}: score was" in out
    assert "id=4" not in out
    code, out, _ = headrace("rebuild", "--all", "--show-pii")
    assert "id=4: score was" in out


@pytest.mark.parametrize("words", [[], ["id=4", "--all"], ["--all", "--interval", "2014-02-01"]])
def test_rebuild_asks_for_a_key_or_for_all(headrace, scored, words):
    scored()
    code, out, err = headrace("rebuild", *words)
    assert (code, out) == (2, "")
    assert "it takes the key of a score, or --all" in err or "no scores of 2014-02-01" in err


@pytest.fixture
def marked(folder, scored):
    """The scored lake of a pipeline that marks the line of a ride, and the rain, as personal."""
    _, lake = scored()
    text = (folder / "pipeline.yaml").read_text()
    for path in ("rides", "lines", "weather"):
        column = "rain" if path == "weather" else "line"
        text = text.replace(
            f"    path: landing/{path}/*.csv\n",
            f"    path: landing/{path}/*.csv\n    pii: [{column}]\n",
        )
    (folder / "pipeline.yaml").write_text(text)
    names = {"rides": ["id", "line", "leaves"], "lines": ["line", "seats"]}
    files = {
        "source": list(names),
        "sha256": ["f" * 64] * 2,
        "columns": list(names.values()),
    }
    append(lake.files, pa.table(files), unit="rides/files/b")
    return lake


@pytest.mark.usefixtures("marked")
def test_marked_columns_and_what_is_made_of_them_are_hidden(headrace):
    told = explained(headrace, "id=4")
    values = {each["feature"]: each["value"] for each in told["features"]}
    assert values == {"line": MASK, "seats": 50, "rain": MASK, "delay_7d": 15.0}
    raw = {each["place"]: each["lines"][0]["raw"] for each in told["lines"]}
    assert raw["features.columns"] == f"4,{MASK},2014-01-05T08:00:00Z"
    assert raw["features.lookups.lines"] == f"{MASK},50"
    assert raw["features.latest.weather"] == HIDDEN  # its header is not recorded
    assert raw["target"].startswith("4,2014-01-05")
    code, out, _ = headrace("explain", "id=4")
    assert code == 0
    assert "red" not in out.replace("features", "").replace("scored", "").split()


@pytest.mark.usefixtures("marked")
def test_who_may_see_them_asks_for_them(headrace):
    told = explained(headrace, "id=4", "--show-pii")
    values = {each["feature"]: each["value"] for each in told["features"]}
    assert (values["line"], values["rain"]) == ("red", 2.0)
    assert told["lines"][0]["lines"][0]["raw"] == "4,red,2014-01-05T08:00:00Z"


def test_a_marked_key_is_hidden_in_words_and_in_hints(folder, headrace, scored):
    scored()
    text = (folder / "pipeline.yaml").read_text()
    path = "    path: landing/rides/*.csv\n"
    (folder / "pipeline.yaml").write_text(text.replace(path, f"{path}    pii: [id]\n"))
    code, out, _ = headrace("explain", "id=4")
    assert code == 0
    assert f"id={MASK}, 2014-01-05" in out
    assert "id=4" not in out
    _, _, err = headrace("explain", "id=77")
    assert "scores reach from 2014-01-05 to 2014-01-05" in err
    assert "id=5" not in err
