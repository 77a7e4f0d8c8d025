from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime

import pyarrow as pa
import pytest

import headrace
from headrace import profiles
from headrace.errors import UsageError
from headrace.lake import append
from headrace.verify import verify

ENGINES = ("pyspark", "ray", "prefect", "great_expectations")


def fresh(code):
    """Runs code in a fresh interpreter and gives back what it printed."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_opening_a_lake_and_reading_a_table_starts_no_engine(lake):
    append(lake.silver("weather"), pa.table({"temp": [1.5]}), unit="weather/check/1")
    code = (
        "import sys, headrace\n"
        f"frame = headrace.open({str(lake.root)!r}).table('silver/weather').pandas()\n"
        f"print(len(frame), sorted(set(sys.modules) & set({ENGINES!r})))"
    )
    assert fresh(code) == "1 []"


def test_importing_headrace_loads_nothing_heavy():
    heavy = ("numpy", "pandas", "pyarrow", "deltalake", "sklearn", "lightgbm", *ENGINES)
    assert fresh(f"import sys, headrace; print(sorted(set(sys.modules) & set({heavy!r})))") == "[]"


def test_importing_headrace_takes_less_than_half_a_second():
    code = "import time; t = time.process_time(); import headrace; print(time.process_time() - t)"
    assert min(float(fresh(code)) for _ in range(3)) < 0.5


def test_the_names_of_the_catalogue_need_no_library():
    heavy = ("numpy", "sklearn", "lightgbm", "scipy", *ENGINES)
    code = (
        "import sys\nfrom headrace.models.algorithms import names\n"
        f"print('lightgbm' in names(), sorted(set(sys.modules) & set({heavy!r})))"
    )
    assert fresh(code) == "True []"


def test_a_table_is_opened_by_name_and_version(lake):
    for number in (1, 2):
        append(lake.silver("weather"), pa.table({"temp": [float(number)]}), unit=f"w/{number}")
    opened = headrace.open(lake.root)
    assert opened.table("silver/weather").arrow()["temp"].to_pylist() == pytest.approx(
        [1, 2], abs=1
    )
    assert opened.table("silver/weather", version=0).arrow()["temp"].to_pylist() == [1.0]


def test_tables_are_listed_by_name(lake):
    for path in (lake.silver("weather"), lake.gold("flights"), lake.aliases):
        append(path, pa.table({"x": [1]}), unit="u")
    assert headrace.open(lake.root).tables() == ("aliases", "gold/flights", "silver/weather")


def test_a_table_that_a_full_disk_kept_from_its_first_commit_is_none(lake):
    (lake.root / "scores" / "flights" / "_delta_log").mkdir(parents=True)
    opened = headrace.open(lake.root)
    assert "scores/flights" not in opened.tables()
    assert opened.unfinished() == ("scores/flights",)
    told = {finding.name: finding for finding in verify(lake.root)}
    assert told["scores/flights"].state == "warn"
    assert "holds no commit" in told["scores/flights"].found


def test_a_table_that_is_not_there_gives_the_nearest_name(lake):
    append(lake.silver("weather"), pa.table({"x": [1]}), unit="u")
    with pytest.raises(
        UsageError, match=r"no table 'silver/wether'; did you mean 'silver/weather'\?"
    ):
        headrace.open(lake.root).table("silver/wether")


def test_a_profile_is_read_by_name_and_a_wrong_name_gives_the_nearest(lake):
    row = {"statistic": "rows", "value": 2}
    for version in (3, 4):
        at = datetime(2024, 1, 1, tzinfo=UTC)
        profiles.keep(lake, [row], table="silver/weather", version=version, profiled_at=at)
    opened = headrace.open(lake.root)
    assert opened.profile("weather")["version"].to_pylist() == [4]
    assert opened.profile("silver/weather", version=3).num_rows == 1
    with pytest.raises(UsageError, match=r"no profile of 'wether'; did you mean 'weather'\?"):
        opened.profile("wether")
    with pytest.raises(UsageError, match="no profile of 'weather' of version 7"):
        opened.profile("weather", version=7)


def test_a_folder_that_is_not_there_is_no_lake(tmp_path):
    with pytest.raises(UsageError, match="there is no lake here"):
        headrace.open(tmp_path / "nothing")


def test_a_pipeline_without_a_champion_says_what_to_do(lake):
    lake.root.mkdir()
    with pytest.raises(UsageError, match="no model of 'flights' was promoted yet"):
        headrace.open(lake.root).model("flights")
